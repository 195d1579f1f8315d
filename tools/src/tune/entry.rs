//! What a host should be set to: one entry each, with why, and what is known of its effect.

use super::host::Host;

pub struct Entry {
    pub name: &'static str,
    pub need: Need,
    pub why: &'static str,
    pub effect: Effect,
    pub check: fn(&Host) -> Finding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The broker does not run, or not safely, without it.
    Must,
    Should,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The figure; of a virtual machine of two cores (an EPYC, KVM, Linux 6.18, ext4 on virtio), in November 2026.
    Measured(&'static str),
    /// What is expected, and was not measured: mostly because a virtual machine can't show it.
    Reasoned(&'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    Good {
        found: String,
    },
    /// Shell lines that set it, and those that restore what was found.
    Missing {
        found: String,
        set: Vec<String>,
        undo: Vec<String>,
    },
    /// No line sets it.
    ByHand {
        found: String,
        what_to_do: String,
    },
    NotHere {
        why: String,
    },
}

impl Finding {
    pub fn good(found: impl Into<String>) -> Finding {
        Finding::Good { found: found.into() }
    }

    pub fn missing(found: impl Into<String>, set: impl Into<String>, undo: impl Into<String>) -> Finding {
        Finding::Missing { found: found.into(), set: vec![set.into()], undo: vec![undo.into()] }
    }

    pub fn by_hand(found: impl Into<String>, what_to_do: impl Into<String>) -> Finding {
        Finding::ByHand { found: found.into(), what_to_do: what_to_do.into() }
    }

    pub fn not_here(why: impl Into<String>) -> Finding {
        Finding::NotHere { why: why.into() }
    }

    /// In one word or two, for a table.
    pub fn state(&self) -> &'static str {
        match self {
            Finding::Good { .. } => "ok",
            Finding::Missing { .. } => "set",
            Finding::ByHand { .. } => "by hand",
            Finding::NotHere { .. } => "not here",
        }
    }

    pub fn found(&self) -> &str {
        match self {
            Finding::Good { found } | Finding::Missing { found, .. } | Finding::ByHand { found, .. } => found,
            Finding::NotHere { why } => why,
        }
    }

    pub fn is_lacking(&self) -> bool {
        matches!(self, Finding::Missing { .. } | Finding::ByHand { .. })
    }
}

impl Effect {
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Effect::Measured(text) => ("measured", text),
            Effect::Reasoned(text) => ("reasoned", text),
        }
    }
}
