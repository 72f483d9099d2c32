//! The parsed file as the checks see it: loose where its shape is wrong, typed where a step can be understood.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::runbook::schema::StepSpec;

pub struct View<'d> {
    pub root: &'d DeTable<'d>,
    pub steps: Vec<StepView<'d>>,
}

pub struct StepView<'d> {
    pub table: &'d DeTable<'d>,
    /// The `[[step]]` line.
    pub header: Range<usize>,
    /// As written, even where the step is not understood.
    pub id: Option<&'d str>,
    pub kind: Option<&'d str>,
    /// None where the step's shape is wrong.
    pub spec: Option<StepSpec>,
}

impl<'d> View<'d> {
    pub fn of(document: &'d Spanned<DeTable<'d>>) -> Self {
        let root = document.get_ref();
        let steps = match root.get("step").map(Spanned::get_ref) {
            Some(DeValue::Array(items)) => items.iter().filter_map(StepView::of).collect(),
            _ => Vec::new(),
        };
        Self { root, steps }
    }

    /// A table by its dotted path, e.g. `infrastructure.flag`.
    pub fn table(&self, path: &str) -> Option<&'d DeTable<'d>> {
        path.split('.').try_fold(self.root, |table, key| match table.get(key)?.get_ref() {
            DeValue::Table(inner) => Some(inner),
            _ => None,
        })
    }

    /// A value by its dotted path.
    pub fn value(&self, path: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        match path.rsplit_once('.') {
            Some((table, key)) => self.table(table)?.get(key),
            None => self.root.get(path),
        }
    }

    pub fn text(&self, path: &str) -> Option<(&'d str, Range<usize>)> {
        text(self.value(path)?)
    }

    pub fn position(&self, id: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.id == Some(id))
    }
}

impl<'d> StepView<'d> {
    fn of(value: &'d Spanned<DeValue<'d>>) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else { return None };
        let word = |key: &str| table.get(key).and_then(|found| found.get_ref().as_str());
        Some(Self {
            table,
            header: value.span(),
            id: word("id"),
            kind: word("kind"),
            spec: StepSpec::deserialize(ValueDeserializer::from(value.clone())).ok(),
        })
    }

    /// The place of a key's value, else of the step's header.
    pub fn span(&self, key: &str) -> Range<usize> {
        self.table.get(key).map_or(self.header.clone(), Spanned::span)
    }

    pub fn text(&self, key: &str) -> Option<(&'d str, Range<usize>)> {
        text(self.table.get(key)?)
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        match self.id {
            Some(id) => format!("step {}", crate::runbook::problem::quoted(id)),
            None => "this step".into(),
        }
    }
}

pub fn text<'d>(value: &'d Spanned<DeValue<'d>>) -> Option<(&'d str, Range<usize>)> {
    value.get_ref().as_str().map(|text| (text, value.span()))
}

/// The texts of a list; none where it is no list or holds anything else.
pub fn texts<'d>(value: &'d Spanned<DeValue<'d>>) -> Option<Vec<(&'d str, Range<usize>)>> {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().map(text).collect(),
        _ => None,
    }
}
