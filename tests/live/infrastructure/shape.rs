//! Infrastructure repositories as teams write them: files, and what a runbook says of them.

use std::collections::BTreeMap;
use std::path::Path;

pub const OLD: &str = "rel-2024.08.22.20.53.01";
/// What the world's drafted release becomes.
pub const NEW: &str = "rel-2024.09.30.10.20.30";

/// Where an attribute stands: file, block, name.
#[derive(Debug, Clone)]
pub struct At {
    pub file: String,
    pub block: &'static [&'static str],
    pub name: &'static str,
}

/// Recipes that take further arguments, or none; that target the module, or plan everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipes {
    TargetWithArguments,
    WithArguments,
    /// One optional argument of its own name.
    WithPlan,
    Target,
    Bare,
}

#[derive(Debug, Clone)]
pub struct Shape {
    pub environment: &'static str,
    pub version: At,
    pub flag: At,
    pub targets: bool,
    /// Further lines of the runbook's `[infrastructure]`.
    pub settings: String,
    pub apply: Vec<String>,
    files: BTreeMap<String, Vec<u8>>,
    /// Text of the module only while the last deploy was applied: what has been removed since.
    pub removed: String,
}

const MAIN: &str = "terraform {\n  required_version = \">= 1.4\"\n}\n";

const MODULE: &str = r#"variable "docker_image_tag" {
  type = string
}

variable "running_dags_cleared" {
  type    = bool
  default = false
}

resource "terraform_data" "user_data" {
  input = var.docker_image_tag
}

resource "terraform_data" "instance" {
  triggers_replace = [terraform_data.user_data.output]

  lifecycle {
    precondition {
      condition     = var.running_dags_cleared
      error_message = "Make sure that no DAG is running."
    }
  }
}
"#;

const BUMP: &str = r#"# Write the newest tag on the registry
bump env module:
    #!/bin/sh
    set -eu
    tag=$(grep -E '^rel-' '@TAGS@' | sort | tail -n 1)
    sed "s/\(@NAME@ *= *\)\"[^\"]*\"/\1\"$tag\"/" '@FILE@' > '@FILE@.bumped'
    cat '@FILE@.bumped' > '@FILE@'
    rm '@FILE@.bumped'
"#;

impl Shape {
    /// The tag and the flag in the module's block.
    pub fn module(environment: &'static str) -> Self {
        let file = format!("environments/{environment}/catalog-airflow.tf");
        let block: &'static [&'static str] = &["module", "catalog-airflow"];
        let text = "module \"catalog-airflow\" {\n  source = \"../../modules/catalog-airflow\"\n\n  \
            docker_image_tag     = \"@TAG@\"\n  running_dags_cleared = @FLAG@ # never merge as true\n}\n";
        let version = At { file: file.clone(), block, name: "docker_image_tag" };
        let flag = At { file: file.clone(), block, name: "running_dags_cleared" };
        Self::new(environment, version, flag, &[(&file, text)])
    }

    /// The tag among the locals of another file.
    pub fn locals() -> Self {
        let (file, other) = ("environments/prod/versions.tf", "environments/prod/catalog-airflow.tf");
        let text = "locals {\n  catalog_tag = \"@TAG@\" # what runs\n  api_tag     = \"rel-2024.01.01.00.00.00\"\n}\n";
        let module = "module \"catalog-airflow\" {\n  source               = \"../../modules/catalog-airflow\"\n  \
            docker_image_tag     = local.catalog_tag\n  running_dags_cleared = @FLAG@\n}\n";
        let version = At { file: file.into(), block: &["locals"], name: "catalog_tag" };
        let flag = At { file: other.into(), block: &["module", "catalog-airflow"], name: "running_dags_cleared" };
        Self::new("prod", version, flag, &[(file, text), (other, module)])
    }

    /// Both in a file of variables.
    pub fn variables() -> Self {
        let (file, other) = ("environments/prod/catalog.auto.tfvars", "environments/prod/catalog-airflow.tf");
        let text = "# Bumped by `just bump`.\ncatalog_tag = \"@TAG@\"\ncatalog_dags_cleared = @FLAG@\n";
        let module = "variable \"catalog_tag\" {\n  type = string\n}\n\nvariable \"catalog_dags_cleared\" {\n  \
            type = bool\n}\n\nmodule \"catalog-airflow\" {\n  source               = \
            \"../../modules/catalog-airflow\"\n  docker_image_tag     = var.catalog_tag\n  \
            running_dags_cleared = var.catalog_dags_cleared\n}\n";
        let version = At { file: file.into(), block: &[], name: "catalog_tag" };
        let flag = At { file: file.into(), block: &[], name: "catalog_dags_cleared" };
        Self::new("prod", version, flag, &[(file, text), (other, module)])
    }

    fn new(environment: &'static str, version: At, flag: At, files: &[(&str, &str)]) -> Self {
        let apply = ["just", "apply", environment, "catalog-airflow"].map(str::to_owned).to_vec();
        let mut all = BTreeMap::from([
            (".gitignore".to_owned(), b".terraform/\n*.tfstate\n*.tfstate.*\n*.tfplan\n".to_vec()),
            (format!("environments/{environment}/main.tf"), MAIN.into()),
            ("modules/catalog-airflow/main.tf".to_owned(), MODULE.into()),
        ]);
        all.extend(files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())));
        let shape = Self {
            environment,
            version,
            flag,
            targets: true,
            settings: String::new(),
            apply,
            files: all,
            removed: String::new(),
        };
        shape.recipes(Recipes::TargetWithArguments)
    }

    pub fn recipes(mut self, recipes: Recipes) -> Self {
        let target = matches!(recipes, Recipes::TargetWithArguments | Recipes::Target);
        let (parameters, words) = match recipes {
            Recipes::TargetWithArguments | Recipes::WithArguments => (" *args", " {{ args }}"),
            Recipes::WithPlan => (" plan=\"\"", " {{ plan }}"),
            Recipes::Target | Recipes::Bare => ("", ""),
        };
        let targeted = if target { " -target=module.{{ module }}" } else { "" };
        let mut text = BUMP.replace("@NAME@", self.version.name).replace("@FILE@", &self.version.file);
        for verb in ["plan", "apply"] {
            text.push_str(&format!(
                "\n{verb} env module{parameters}:\n    terraform -chdir=environments/{{{{ env }}}} {verb}{targeted}{words}\n"
            ));
        }
        self.targets = target;
        self.files.insert("justfile".into(), text.into());
        self
    }

    /// Replaces text in a file; it must be there.
    #[track_caller]
    pub fn edit(mut self, file: &str, from: &str, to: &str) -> Self {
        let text = String::from_utf8(self.files[file].clone()).unwrap();
        assert!(text.contains(from), "{file}: {text}");
        self.files.insert(file.into(), text.replacen(from, to, 1).into());
        self
    }

    pub fn file(mut self, file: &str, text: &str) -> Self {
        self.files.insert(file.into(), text.into());
        self
    }

    /// Adds to the module.
    pub fn module_also(self, text: &str) -> Self {
        let now = String::from_utf8(self.files["modules/catalog-airflow/main.tf"].clone()).unwrap();
        self.file("modules/catalog-airflow/main.tf", &format!("{now}\n{text}"))
    }

    /// Carriage returns in every Terraform file.
    pub fn crlf(mut self) -> Self {
        for (name, text) in &mut self.files {
            if name.ends_with(".tf") || name.ends_with(".tfvars") {
                *text = String::from_utf8(text.clone()).unwrap().replace('\n', "\r\n").into();
            }
        }
        self
    }

    /// A byte order mark before the version's file.
    pub fn bom(mut self) -> Self {
        let text = self.files.get_mut(&self.version.file).unwrap();
        text.splice(0..0, *b"\xef\xbb\xbf");
        self
    }

    pub fn expects(self, address: &str, actions: &[&str]) -> Self {
        self.setting(&format!("[[infrastructure.expect]]\naddress = {address:?}\nactions = {actions:?}"))
    }

    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push_str(&format!("{line}\n"));
        self
    }

    pub fn directory(&self) -> String {
        format!("environments/{}", self.environment)
    }

    /// `tags` is the file with what the registry holds. `deployed`: as it was while the last deploy was applied.
    pub fn write(&self, checkout: &Path, tags: &Path, deployed: bool) {
        for (name, bytes) in &self.files {
            let path = checkout.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut text = String::from_utf8(bytes.clone()).unwrap();
            for (mark, value) in [
                ("@TAG@", OLD),
                ("@FLAG@", if deployed { "true" } else { "false" }),
                ("@TAGS@", &tags.display().to_string()),
            ] {
                text = text.replace(mark, value);
            }
            if deployed && name == "modules/catalog-airflow/main.tf" {
                text.push_str(&self.removed);
            }
            std::fs::write(path, text).unwrap();
        }
    }

    pub fn runbook(&self) -> String {
        let at = |at: &At| format!("{{ file = {:?}, block = {:?}, attribute = {:?} }}", at.file, at.block, at.name);
        RUNBOOK
            .replace("@ENV@", self.environment)
            .replace("@VERSION@", &at(&self.version))
            .replace("@FLAG@", &at(&self.flag))
            .replace("@APPLY@", &format!("{:?}", self.apply))
            .replace("@TARGETS@", &self.targets.to_string())
            .replace("@SETTINGS@\n", &self.settings)
    }
}

const RUNBOOK: &str = r#"format = 1
title = "Deploy the catalog"
environment = "@ENV@"
lock = "live"

[release]
git_prefix = "catalog-"
image_prefix = "rel-"

[github]
repository = "WordPress/openverse"

[registry]
image = "wordpress/openverse-catalog"

[infrastructure]
repository = "WordPress/openverse-infrastructure"
directory = "environments/@ENV@"
bump = ["just", "bump", "@ENV@", "catalog-airflow"]
plan = ["just", "plan", "@ENV@", "catalog-airflow"]
apply = @APPLY@
state = ["terraform", "-chdir=environments/@ENV@", "show", "-json"]
targets = @TARGETS@
version = @VERSION@
flag = @FLAG@
@SETTINGS@

[[infrastructure.expect]]
address = "module.catalog-airflow.*.instance"
actions = ["delete/create", "create/delete"]

[[infrastructure.expect]]
address = "module.catalog-airflow.*.user_data"
actions = ["update"]

[[step]]
id = "checkout"
kind = "checkout-ready"
title = "The checkout is clean and up to date"

[[step]]
id = "publish"
kind = "publish-release"
title = "Publish the release"
gate = true
release_only = true
tag_workflow = "tag_docker_image_and_trigger_deployment.yml"
build_workflow = "ci_cd.yml"
build_paths = ["catalog"]

[[step]]
id = "image"
kind = "image-ready"
title = "The image is on the registry"
tag_workflow = "tag_docker_image_and_trigger_deployment.yml"

[[step]]
id = "bump"
kind = "bump"
title = "Bump the version"
gate = true
locked = true

[[step]]
id = "flag"
kind = "set-flag"
title = "Set the flag"

[[step]]
id = "apply"
kind = "apply"
title = "Plan and apply"
gate = true
locked = true

[[step]]
id = "flag-back"
kind = "give-back"
title = "Restore the flag"
of = "flag"

[[step]]
id = "pull-request"
kind = "infrastructure-pull-request"
title = "Open the pull request"
gate = true
locked = true
branch = "catalog-deploy/{tag}"
pull_title = "Deploy catalog {tag}"
"#;
