//! For tests, behind the feature `testing`: the acceptance suite for stores, and scenario files for
//! templates.

pub mod acceptance;
pub mod scenario;
