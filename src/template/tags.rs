mod include;
mod literal;
mod nesting;
pub(super) mod render;
pub(super) mod session;
