//! As much of `terraform` as the rehearsal's repository needs: modules of `terraform_data` with string inputs.

mod apply;
mod config;
mod plan;
mod show;
mod state;
mod words;

use std::io::BufRead;
use std::path::PathBuf;

use serde_json::Value;

use super::{Failure, fail, say, tell};

/// What it says its version is; its JSON has that version's fields.
const VERSION: &str = "1.11.4";

pub(super) fn run(args: &[String]) -> Result<(), Failure> {
    let (mut directory, mut rest) = (PathBuf::from("."), args);
    if let Some(chdir) = args.first().and_then(|arg| arg.strip_prefix("-chdir=")) {
        (directory, rest) = (PathBuf::from(chdir), &args[1..]);
    }
    let Some((command, given)) = rest.split_first() else { return fail("Usage: terraform [-chdir=DIR] COMMAND") };
    let mut args = words::from_environment(command);
    args.extend(given.iter().cloned());
    let option = |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name).map(str::to_owned));
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let file = args.iter().find(|arg| !arg.starts_with('-')).map(|name| directory.join(name));
    match command.as_str() {
        "version" | "-version" | "--version" => {
            let json = format!("{{\"terraform_version\":\"{VERSION}\",\"platform\":\"rehearsal\"}}\n");
            say(&if has("-json") { json } else { format!("Terraform v{VERSION}\non rehearsal (stand-in)\n") });
            Ok(())
        }
        "init" => {
            std::fs::create_dir_all(directory.join(".terraform"))?;
            say("Terraform has been successfully initialized!\n");
            Ok(())
        }
        "workspace" if file.as_ref().is_some_and(|it| it.ends_with("show")) => {
            say("default\n");
            Ok(())
        }
        "state" if file.as_ref().is_some_and(|it| it.ends_with("pull")) => {
            say(&std::fs::read_to_string(directory.join("terraform.tfstate")).unwrap_or_default());
            Ok(())
        }
        "plan" => {
            let plan = plan::make(&directory, option("-target=").as_deref())?;
            say(&plan.text());
            // As the real one: a plan whose precondition failed is still written.
            if let Some(out) = option("-out=") {
                std::fs::write(directory.join(&out), plan.to_json().to_string())?;
                say(&format!("\nSaved the plan to: {out}\n"));
            }
            plan.check()?;
            if has("-detailed-exitcode") && plan.changes_anything() {
                return Err(Failure { code: 2, said: String::new() });
            }
            Ok(())
        }
        "show" if has("-json") => {
            let value = match file {
                None => show::state(&state::read(&directory)?),
                Some(file) => plan_file(&file)?["show"].clone(),
            };
            say(&format!("{value}\n"));
            Ok(())
        }
        "show" => {
            let Some(file) = file else { return fail("the stand-in shows plans and JSON only") };
            say(plan_file(&file)?["text"].as_str().unwrap_or_default());
            Ok(())
        }
        "apply" => {
            let plan = match file {
                Some(file) => plan::Plan::from_json(&plan_file(&file)?)?,
                None => {
                    let plan = plan::make(&directory, option("-target=").as_deref())?;
                    say(&plan.text());
                    plan.check()?;
                    if plan.changes_anything() && !has("-auto-approve") && !approved()? {
                        return fail("\nApply cancelled.");
                    }
                    plan
                }
            };
            apply::apply(&directory, &plan)
        }
        other => fail(format!("the stand-in has no `terraform {other}`")),
    }
}

fn plan_file(file: &std::path::Path) -> Result<Value, Failure> {
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

fn approved() -> Result<bool, Failure> {
    say("\nDo you want to perform these actions?\n  Only 'yes' will be accepted to approve.\n\n  Enter a value: ");
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        tell("Error: error asking for approval: EOF\n");
    }
    Ok(line.trim() == "yes")
}
