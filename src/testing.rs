//! For tests: what every store must do, as a suite that any store can run.

pub mod acceptance;
