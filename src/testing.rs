//! For tests, behind the feature `testing`: the suite that every store must pass, and scenarios with
//! which the authors of templates play whole session flows.

pub mod acceptance;
pub mod scenario;
