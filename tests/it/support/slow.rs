//! An apply that a test holds up, and that counts who interrupts it.

use std::path::PathBuf;

use super::{Stage, until};

/// Whether this world's `just apply` has begun, how often Terraform was let loose, how many interrupts came.
pub struct SlowApply {
    place: PathBuf,
}

impl SlowApply {
    /// Makes the apply wait for [`SlowApply::go`] before Terraform is started; an interrupt ends it badly. Committed and
    /// pushed, so the checkout is clean.
    pub fn on(stage: &Stage) -> Self {
        let place = stage.config.parent().unwrap().join("slow");
        std::fs::create_dir_all(&place).unwrap();
        let file = stage.infrastructure().join("justfile");
        let text = std::fs::read_to_string(&file).unwrap();
        let at = place.display();
        let slow = format!(
            "    if [ ! -e '{at}/go' ]; then trap 'echo int >> {at}/interrupts; stop=1' INT; echo begun >> '{at}/begun'; \
             while [ ! -e '{at}/go' ] && [ -z \"${{stop:-}}\" ]; do sleep 0.05; done; \
             if [ -n \"${{stop:-}}\" ]; then sleep 0.5; exit 1; fi; fi; echo apply >> '{at}/applies'\n"
        );
        let line = text.lines().find(|line| line.contains("apply -target")).unwrap();
        std::fs::write(&file, text.replace(line, &format!("{slow}{line}"))).unwrap();
        stage.git(&["commit", "--quiet", "--all", "-m", "A slow apply"]);
        stage.git(&["push", "--quiet", "origin", "main"]);
        Self { place }
    }

    pub fn count(&self, what: &str) -> usize {
        std::fs::read_to_string(self.place.join(what)).map_or(0, |text| text.lines().count())
    }

    pub fn begun(&self) {
        until("the apply begins", || self.count("begun") == 1);
    }

    pub fn go(&self) {
        std::fs::write(self.place.join("go"), "").unwrap();
    }
}
