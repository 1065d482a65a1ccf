//! What tests are made of: scenarios. Behind feature `testing`.

pub mod scenario;
