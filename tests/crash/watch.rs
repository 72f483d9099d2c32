//! The director at the world's door.

use catalog_deploy::rehearsal::{Intervention, RequestLogEntry, Watch};
use serde_json::Value;

use crate::director::{Broken, Director};
use crate::history::What;
use crate::point::Moment;

/// A note to Slack changes nothing of a deploy.
fn matters(request: &RequestLogEntry) -> bool {
    request.mutates() && request.service != "slack"
}

fn key(request: &RequestLogEntry) -> String {
    let path = request.path.split('?').next().unwrap_or_default();
    format!("{} {path}", request.method)
}

fn deed(request: &RequestLogEntry) -> What {
    What::Request {
        service: request.service.clone(),
        method: request.method.clone(),
        path: request.path.clone(),
        body: request.body.clone().unwrap_or(Value::Null),
    }
}

impl Watch for Director {
    fn before(&self, request: &RequestLogEntry) -> Intervention {
        let mut inner = self.lock();
        if inner.down.is_some_and(|down| down.to_string() == request.service) {
            return Intervention::Cut;
        }
        let matters = matters(request);
        if matters {
            inner.asked += 1;
            self.deed(&mut inner, deed(request));
        }
        if self.at(&mut inner, &key(request), Moment::Before, false, matters) {
            // Its sender is dead, and it never came this far.
            let what = deed(request);
            self.done(&mut inner, |known| *known == what, false);
            return Intervention::Cut;
        }
        if matters && inner.broken == Some(Broken::Refused) {
            inner.broken = None;
            inner.hit = true;
            let what = deed(request);
            self.done(&mut inner, |known| *known == what, false);
            return Intervention::Answer(422);
        }
        Intervention::None
    }

    fn after(&self, request: &RequestLogEntry) -> Intervention {
        let mut inner = self.lock();
        let matters = matters(request);
        let effect = (200..300).contains(&request.status);
        if matters {
            let what = deed(request);
            self.done(&mut inner, |known| *known == what, effect || request.status == 0);
        }
        self.at(&mut inner, &key(request), Moment::Effect, matters, matters);
        if !matters {
            return Intervention::None;
        }
        let broken = inner.broken.take();
        inner.hit |= broken.is_some();
        match broken {
            Some(Broken::Reset) => Intervention::Cut,
            Some(Broken::BadGateway) => Intervention::Answer(502),
            _ => Intervention::None,
        }
    }

    fn answered(&self, request: &RequestLogEntry) {
        let mut inner = self.lock();
        self.at(&mut inner, &key(request), Moment::Answered, false, matters(request));
    }
}
