//! SIGINT, SIGTERM and SIGHUP become the wish to stop; what it means is said at once.

use tokio::signal::unix::{SignalKind, signal};

use crate::engine::StopSignal;
use crate::step::Stop;

/// Watches for as long as the returned task lives. `say` tells the person what their signal does.
pub fn watch(stop: &StopSignal, say: impl Fn(&str) + Send + Sync + 'static) -> std::io::Result<Watching> {
    let say = std::sync::Arc::new(say);
    let mut tasks = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut stream = signal(kind)?;
        let (stop, say) = (stop.clone(), say.clone());
        tasks.push(tokio::spawn(async move {
            while stream.recv().await.is_some() {
                match stop.raise(kind.as_raw_value()) {
                    Stop::No => {}
                    Stop::Soon => say("stopping: waits end now, a change in progress is finished first, then what is held is given back"),
                    Stop::Child => say("asked the command at work to stop; still giving back what is held"),
                }
            }
        }));
    }
    Ok(Watching { tasks })
}

/// Ends the watching when dropped; the handlers themselves stay, so a late signal kills nothing half-way.
pub struct Watching {
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
