#!/usr/bin/env bash
# Runs the parts of one Airflow (arguments: its home, then one command line each) until stdin ends: also where the test
# is killed, its servers go with it. They leave their process group, so they are known by their home.
set -u
home=$1
shift
for part in "$@"; do
    # SPT_NOENV: processes that rename themselves keep the environment by which they are found below.
    # shellcheck disable=SC2086
    AIRFLOW_HOME=$home SPT_NOENV=1 airflow $part >"$home/${part%% *}.log" 2>&1 </dev/null &
done
cat >/dev/null

ours() {
    for process in /proc/[0-9]*; do
        grep -qszxF "AIRFLOW_HOME=$home" "$process/environ" 2>/dev/null && echo "${process#/proc/}"
    done
}
# The shell would tell of each that it was killed.
exec 2>/dev/null
# shellcheck disable=SC2046
while kill -KILL $(ours); do :; done
