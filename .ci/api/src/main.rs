//! Lists the public interface, with all features, and compares it with `public-api.txt`: so a change
//! of it shows in review. `cargo api` compares, `cargo api --bless` writes the list anew.

use std::collections::{BTreeSet, HashSet};
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use public_api::{Builder, PublicItem};

const LIST: &str = "public-api.txt";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let bless = match env::args().nth(1).as_deref() {
        None => false,
        Some("--bless") => true,
        Some(other) => return Err(format!("expected `--bless` or nothing, found `{other}`").into()),
    };
    let now = list(&root)?;
    if bless {
        fs::write(root.join(LIST), now)?;
        return Ok(ExitCode::SUCCESS);
    }
    // A missing list is an empty one.
    let before = fs::read_to_string(root.join(LIST)).unwrap_or_default();
    if before == now {
        return Ok(ExitCode::SUCCESS);
    }
    let (before, now): (BTreeSet<_>, BTreeSet<_>) =
        (before.lines().collect(), now.lines().collect());
    for line in before.difference(&now) {
        println!("- {line}");
    }
    for line in now.difference(&before) {
        println!("+ {line}");
    }
    eprintln!("the public interface is not that of {LIST}; if it should be so: cargo api --bless");
    Ok(ExitCode::FAILURE)
}

/// The public items, a line each.
fn list(root: &Path) -> Result<String, Box<dyn Error>> {
    let target = root.join("target");
    let status = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .current_dir(root)
        .env("RUSTDOC", root.join(".ci/rustdoc").canonicalize()?)
        .args(["rustdoc", "--quiet", "--package", "liquid-session", "--lib"])
        .args(["--all-features", "--target-dir"])
        .arg(&target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .status()?;
    if !status.success() {
        return Err("rustdoc failed".into());
    }
    let api = Builder::from_rustdoc_json(target.join("doc/liquid_session.json"))
        // What every type has, or the compiler adds.
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()
        .map_err(|error| {
            format!("{error}; after a change of compiler: the `public-api` that reads its JSON is in .ci/api/Cargo.toml")
        })?;
    let impls: HashSet<_> = api
        .items()
        .filter(|item| is_impl_of_trait(item))
        .map(PublicItem::id)
        .collect();
    let mut items: Vec<_> = api
        .items()
        // The trait says which methods there are.
        .filter(|item| {
            item.parent_id()
                .is_none_or(|parent| !impls.contains(&parent))
        })
        .collect();
    items.sort_by(|a, b| a.grouping_cmp(b));
    let mut list: Vec<_> = items.iter().map(|item| format!("{item}\n")).collect();
    // Comes with every derived `PartialEq`.
    list.retain(|line| !line.contains("StructuralPartialEq"));
    // Text, which no program can name.
    list.retain(|line| !line.starts_with("pub mod liquid_session::guide"));
    // An item with two names comes twice.
    list.dedup();
    Ok(list.concat())
}

fn is_impl_of_trait(item: &PublicItem) -> bool {
    let line = item.to_string();
    line.starts_with("impl") && line.contains(" for ")
}
