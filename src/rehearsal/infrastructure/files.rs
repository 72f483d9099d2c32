//! The files of the infrastructure repository, in the shape of the real one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::rehearsal::shared::PLANNED;
use crate::rehearsal::{Fault, Options, seed};

/// Which version of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// When this tag was deployed, after the deploy.
    Before(&'static str),
    /// While the last deploy was applied: the flag true, and whatever has been removed since.
    Deployed,
    Now,
}

/// While this file exists, the next apply fails or does nothing.
pub(super) fn failure_marker(options: &Options) -> PathBuf {
    options.directory.join("next-apply-fails")
}

pub(super) fn write(checkout: &Path, options: &Options, moment: Moment) -> Result<()> {
    for folder in ["environments/prod", "modules/catalog-airflow", "modules/ingestion-server"] {
        fs::create_dir_all(checkout.join(folder))?;
    }
    let flag = match moment {
        Moment::Before(_) => false,
        Moment::Deployed => true,
        Moment::Now => options.faults.contains(&Fault::FlagAlreadyTrue),
    };
    let tag = if let Moment::Before(tag) = moment { tag } else { seed::DEPLOYED_TAG };
    let all = [
        ("justfile", justfile(options)),
        (".gitignore", ".terraform/\n*.tfstate\n*.tfstate.*\n*.tfplan\n".to_owned()),
        ("README.md", README.to_owned()),
        ("environments/prod/main.tf", MAIN.to_owned()),
        ("environments/prod/catalog-airflow.tf", catalog(tag, flag)),
        ("environments/prod/ingestion-server.tf", INGESTION_SERVER.to_owned()),
        ("modules/catalog-airflow/main.tf", module(options, moment)),
        ("modules/ingestion-server/main.tf", INGESTION_SERVER_MODULE.to_owned()),
    ];
    for (name, text) in all {
        fs::write(checkout.join(name), text)?;
    }
    Ok(())
}

/// The recipes. Absolute paths, since scratch copies run them elsewhere.
fn justfile(options: &Options) -> String {
    let tags = options.directory.join("registry-tags").display().to_string().replace('\'', r"'\''");
    let has = |fault| options.faults.contains(&fault);
    let pick = if has(Fault::BumpWritesLatest) {
        "grep -E '^latest$' \"{{ registry_tags }}\""
    } else if has(Fault::BumpWritesOlder) {
        "grep -E '^rel-' \"{{ registry_tags }}\" | sort | tail -n 2 | head -n 1"
    } else {
        "grep -E '^rel-' \"{{ registry_tags }}\" | sort | tail -n 1"
    };
    let files = if has(Fault::BumpTouchesOtherModule) {
        "environments/{{ env }}/{{ module }}.tf environments/{{ env }}/ingestion-server.tf"
    } else {
        "environments/{{ env }}/{{ module }}.tf"
    };
    let planned = match has(Fault::DagStartsAfterPlan) {
        true => format!("@touch '{}'\n    ", options.directory.join(PLANNED).display()),
        false => String::new(),
    };
    let mut apply = "terraform -chdir=environments/{{ env }} apply -target=module.{{ module }} {{ args }}".to_owned();
    if has(Fault::ApplyDoesNothing) {
        let marker = failure_marker(options).display().to_string();
        apply = format!("@if test -e '{marker}'; then rm '{marker}'; echo 'Apply complete!'; else {apply}; fi");
    }
    format!(
        r#"# What the image registry holds, one tag a line.
registry_tags := '{tags}'

# Write the version of a module: the given tag, or the newest on the registry
bump env module tag="":
    #!/bin/sh
    set -eu
    tag="{{{{ tag }}}}"
    if [ -z "$tag" ]; then
        tag=$({pick})
    fi
    for file in {files}; do
        sed "s/\(docker_image_tag *= *\)\"[^\"]*\"/\1\"$tag\"/" "$file" > "$file.bumped"
        cat "$file.bumped" > "$file"
        rm "$file.bumped"
    done
    echo "{{{{ module }}}} in {{{{ env }}}} is now at $tag"

# Show what would change
plan env module *args:
    {planned}terraform -chdir=environments/{{{{ env }}}} plan -target=module.{{{{ module }}}} {{{{ args }}}}

# Change it
apply env module *args:
    {apply}
"#
    )
}

/// `running_dags_cleared` stands on line 33, as it does in the real file.
pub(super) fn catalog(tag: &str, flag: bool) -> String {
    CATALOG.replace("@TAG@", tag).replace("@FLAG@", &flag.to_string())
}

const CATALOG: &str = r#"# The catalog's Airflow: webserver, scheduler and workers on one EC2 instance.
#
# The instance is replaced whenever its user data changes, so everything in here
# that ends up in the user data leads to a service deployment.

locals {
  # Shared with the monitors.
  catalog_airflow_name = "catalog-airflow"
  catalog_airflow_port = 8080
}

module "catalog-airflow" {
  source = "../../modules/catalog-airflow"

  name        = local.catalog_airflow_name
  environment = "prod"

  # Network
  port     = local.catalog_airflow_port
  hostname = "airflow.openverse.engineering"

  # Size: the data refresh needs the memory
  instance_type = "m5.2xlarge"
  volume_size   = 500

  # Image: bump with `just bump prod catalog-airflow`
  docker_image_repository = "ghcr.io/wordpress/openverse-catalog"
  docker_image_tag        = "@TAG@"

  # Set this to true only once no DAG is running, and back to false
  # right after the deployment. It must never be merged as true: the
  # next deployment would not be guarded.
  running_dags_cleared = @FLAG@

  # Alerts
  slack_channel = "openverse-alerts"
}
"#;

const MAIN: &str = r#"terraform {
  required_version = ">= 1.4"
}
"#;

const README: &str = "# Infrastructure\n\nTerraform for everything that Openverse runs on.\n\n\
    Deploy with `just bump`, `just plan` and `just apply`.\n";

const INGESTION_SERVER: &str = r#"# The ingestion server that the data refresh talks to.

module "ingestion-server" {
  source = "../../modules/ingestion-server"

  environment = "prod"

  docker_image_tag = "rel-2024.05.02.11.00.09"

  # Set this to true only once no data refresh is running.
  data_refresh_cleared = false
}
"#;

const INGESTION_SERVER_MODULE: &str = r#"variable "environment" {
  type = string
}

variable "docker_image_tag" {
  type = string
}

variable "data_refresh_cleared" {
  type = bool
}

resource "terraform_data" "service" {
  input = var.docker_image_tag
}
"#;

fn module(options: &Options, moment: Moment) -> String {
    let has = |fault| options.faults.contains(&fault);
    let mut text = MODULE.to_owned();
    if has(Fault::DeployFailsWhilePaused) && moment == Moment::Now {
        let marker = failure_marker(options).display().to_string();
        let provisioner = format!(
            r#"
  provisioner "local-exec" {{
    when    = destroy
    command = "if test -e '{marker}'; then rm '{marker}'; echo 'could not terminate the instance: RequestLimitExceeded' >&2; exit 1; fi"
  }}
"#
        );
        text = text.replace("\n  lifecycle {", &format!("{provisioner}\n  lifecycle {{"));
    }
    if has(Fault::PlanNeverConverges) {
        text.push_str("\nresource \"terraform_data\" \"planned_at\" {\n  input = timestamp()\n}\n");
    }
    if has(Fault::PlanDestroysMore) && moment == Moment::Deployed {
        text.push_str("\nresource \"terraform_data\" \"database\" {\n  input = \"catalog-postgres\"\n}\n");
    }
    text
}

const MODULE: &str = r#"variable "name" {
  type = string
}

variable "environment" {
  type = string
}

variable "port" {
  type = number
}

variable "hostname" {
  type = string
}

variable "instance_type" {
  type = string
}

variable "volume_size" {
  type = number
}

variable "docker_image_repository" {
  type = string
}

variable "docker_image_tag" {
  type = string
}

variable "slack_channel" {
  type = string
}

variable "running_dags_cleared" {
  description = "Confirms that no DAG is running. A deployment kills running tasks."
  type        = bool
  default     = false
}

# The script that the instance runs at its first start; the image is what changes in it.
resource "terraform_data" "user_data" {
  input = var.docker_image_tag
}

# Stands for the EC2 instance: replaced when its user data changes.
resource "terraform_data" "instance" {
  triggers_replace = [terraform_data.user_data.output]

  lifecycle {
    precondition {
      condition     = var.running_dags_cleared
      error_message = "Make sure that no DAG is running, then set running_dags_cleared to true."
    }
  }
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_stands_on_line_33() {
        let text = catalog("rel-x", false);
        assert_eq!(text.lines().nth(32), Some("  running_dags_cleared = false"));
        assert!(text.contains("docker_image_tag        = \"rel-x\""));
    }
}
