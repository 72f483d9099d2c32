//! What the first looks refuse: the lock, the checkout, and accounts that see too little.

use catalog_deploy::rehearsal::Fault;

use super::{Want, each, play2, refused};

/// What goes on without the answer.
const OVERRIDE: &str = "catalog-deploy prod --override airflow=\"REASON\"";
const DOCTOR: &str = "catalog-deploy doctor prod";

pub const MORE: &[Fault] = &[Fault::BumpPrOpen];

each! { V2:
    lock_held LockHeld Want {
        exit: 6,
        reason: "locked",
        lock: Some("colleagues-laptop"),
        ..refused(
            &["colleague on colleagues-laptop is deploying", "at apply", "since 4m"],
            &["catalog-deploy unlock prod --run 20240930-095612-7c1d"],
        )
    };
    checkout_behind CheckoutBehind refused(&["behind origin/main"], &["git pull --ff-only origin main"]);
    checkout_dirty CheckoutDirty refused(
        &["changes that are not this run's: environments/prod/ingestion-server.tf"],
        &["commit or stash them"],
    );
    flag_already_true FlagAlreadyTrue Want {
        flag: "true",
        ..refused(
            &["running_dags_cleared is true already", "the last deploy forgot", "Nothing was changed"],
            &["then set it to false"],
        )
    };
    blind_account BlindAccount Want {
        exit: 4,
        reason: "credentials",
        ..refused(&["cannot see any of the DAGs that should exist (image_data_refresh"], &[DOCTOR, OVERRIDE])
    };
    login_page LoginPage Want {
        reason: "unreachable",
        ..refused(
            &[
                "a login page",
                "Cloudflare Access",
                "the service may be healthy, but this machine cannot see it",
                "Nothing was changed",
            ],
            &[DOCTOR, OVERRIDE],
        )
    };
    weak_token WeakToken Want {
        exit: 4,
        reason: "credentials",
        ..refused(&["no push access, and only with it drafts are seen"], &[DOCTOR])
    };
}

/// A warning, not a refusal: main lags what runs until that pull request is merged.
#[test]
fn bump_pr_open() {
    let played = play2(Fault::BumpPrOpen);
    played.ends(&super::deployed(&["warning: unmerged bump", "main lags what was deployed"]));
}
