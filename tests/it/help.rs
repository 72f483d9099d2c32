//! `--help` of every command, as people see it at 100 columns; completions and the manual page know the same words.
