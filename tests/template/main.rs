//! What a template sees and does: the tag, `context.session`, partials, hostile input.
#![allow(clippy::unwrap_used)]

#[path = "../support/counted.rs"]
mod counted;

mod hostile;
mod markup;
mod render;
mod view;
mod wrapped;
