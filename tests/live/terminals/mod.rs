//! A real pseudo-terminal around the real binary, 80 and 200 columns wide. What `tests/it` tries at one width is the same
//! code, tried here at both.

mod here;
#[path = "../../it/terminal/moments.rs"]
mod moments;

use crate::person;
use crate::stage::slow::SlowApply;
use crate::stage::{Stage, approved};
use moments::Size;

macro_rules! at_both_widths {
    ($($module:ident::$case:ident,)*) => {
        mod at_80_columns {
            $(#[test] fn $case() { super::$module::$case((24, 80)); })*
        }
        mod at_200_columns {
            $(#[test] fn $case() { super::$module::$case((50, 200)); })*
        }
    };
}

at_both_widths! {
    moments::every_gate_answered,
    moments::more_than_expected_wants_the_environment_typed,
    here::a_gate_declined,
    moments::ctrl_c_at_a_gate,
    moments::ctrl_c_during_a_wait,
    moments::ctrl_c_during_an_apply_that_is_finished_first,
    moments::three_ctrl_c_during_an_apply_interrupt_it_once,
    here::ctrl_c_during_an_attached_apply,
    here::output_piped,
    here::data_piped_while_somebody_is_asked,
    here::without_colours,
    here::a_dumb_terminal,
    moments::nobody_is_asked_where_stdin_is_no_terminal,
}
