//! What sessions cost, side by side with what people would use instead.
//!
//! `cargo bench` prints the table; `cargo bench -- NAME` only the figures with that in their name.
//! `cargo bench -- --save-baseline before` and later `--baseline before` compare two states of the
//! code.
#![allow(clippy::unwrap_used)]

mod cycle;
mod dialect;
mod held;
mod pair;
mod process;
mod redb;
mod redis;
mod site;
mod templates;

fn main() {
    // Some figures need a process of their own: this program runs itself.
    if process::is_child() {
        return;
    }
    let mut table = pair::Table::new();
    templates::run(&mut table);
    dialect::run(&mut table);
    process::instructions(&mut table);
    cycle::run(&mut table);
    cycle::growth(&mut table);
    process::memory(&mut table);
    held::threads(&mut table);
    held::million(&mut table);
    redb::run(&mut table);
    site::run(&mut table);
    table.print();
}
