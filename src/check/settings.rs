//! What the templates can't say: keys of the host, and whether pages run in transactions.

use std::collections::BTreeSet;
use std::io::ErrorKind as Io;
use std::path::Path;

use super::SETTINGS;
use crate::error::{Error, ErrorKind};

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// Keys that the host writes.
    pub(super) host_writes: BTreeSet<String>,
    /// Keys that the host reads.
    pub(super) host_reads: BTreeSet<String>,
    /// Variables that the host gives to templates, beside `context`.
    pub(super) host_variables: BTreeSet<String>,
    /// Whether the host renders each page in a transaction.
    pub(super) transactions: bool,
}

impl Settings {
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(SETTINGS);
        let wrong =
            |why: String| Error::new(ErrorKind::Config, format!("{}: {why}", path.display()));
        let yaml = match std::fs::read_to_string(&path) {
            Ok(yaml) => yaml,
            Err(why) if why.kind() == Io::NotFound => return Ok(Self::default()),
            Err(why) => return Err(wrong(why.to_string())),
        };
        let options = serde_saphyr::options! {
            strict_booleans: true,
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options(&yaml, options).map_err(|why| wrong(why.to_string()))
    }
}
