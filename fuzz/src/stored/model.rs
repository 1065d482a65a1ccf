//! The model of the tests: `tests/session/model`.
#![allow(dead_code, reason = "the tests use all of it")]

#[path = "../../../tests/session/model/scene.rs"]
pub(super) mod scene;
#[path = "../../../tests/session/model/world.rs"]
pub(super) mod world;
