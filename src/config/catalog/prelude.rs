//! The words in which the tables of settings are written.
//!
//! A row is: name, type, default, bounds, when it can change, what it does; `internal` last where it applies.

pub(super) use super::super::setting::Check::*;
pub(super) use super::super::setting::Reason::*;
pub(super) use super::super::setting::Update::*;
pub(super) use super::super::setting::{Check, Effect, Kind, Reason, Setting};

pub(super) const fn at_least(min: i64) -> Check {
    Check::AtLeast(min)
}

pub(super) const fn range(min: i64, max: i64) -> Check {
    Check::Range(min, max)
}

pub(super) const fn acts(documentation: &'static str) -> Effect {
    Effect::Acts(documentation)
}

pub(super) const fn without(reason: Reason) -> Effect {
    Effect::Without(reason)
}

macro_rules! settings {
    ($table:ident: $($name:literal, $kind:ident, $default:expr, $check:expr, $update:expr, $effect:expr
        $(, $internal:ident)?;)*) => {
        pub(super) const $table: &[Setting] = &[$(
            Setting {
                name: $name,
                kind: Kind::$kind,
                default: $default,
                check: $check,
                update: $update,
                effect: $effect,
                internal: settings!(@internal $($internal)?),
            },
        )*];
    };
    (@internal) => { false };
    (@internal internal) => { true };
}
pub(super) use settings;
