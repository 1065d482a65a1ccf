//! The guide, in pages that can be read in any order.
//!
//! | page | topic |
//! |---|---|
//! | [concepts] | the parts of the crate, and the words for them |
//! | [lifecycle] | a request from cookie to cookie; a session from first write to end |
//! | [authors] | for authors of templates: write, test, check; no Rust |
//! | [templates] | the tag, reading, the host's own globals |
//! | [dialect] | Liquid as platformOS and Shopify write it |
//! | [laziness] | the store calls of a request |
//! | [merging] | parallel requests, and transactions |
//! | [patterns] | carts, forms, messages, counters: templates for common tasks |
//! | [stores] | choosing a store, sweeping, failures, backups, writing a store |
//! | [http] | axum, cookies, caches, the order of layers, HTTPS, other frameworks |
//! | [figures] | what sessions cost, beside tower-sessions and beside no sessions |
//! | [tower_sessions] | from tower-sessions: call by call |
//! | [testing] | scenario files, time, stores |
//! | [findings] | what `liquid-session check` finds, with wrong and right templates |
//! | [advanced] | encrypted values, moving to another store, large sites, several applications |
//! | [defaults] | each default, with its source |
//! | [scope] | what this crate does, and what it leaves to others |
//! | [compatibility] | differences from platformOS |
//! | [security] | the promises, their tests, what remains, and the host's duties |
//! | [hostile] | attacks with templates, data and requests, and their results |
//! | [observability] | events for the log, counters for the metrics |
//! | [mistakes] | symptoms, causes and remedies |
//!
//! These modules exist in the documentation only: no program can name them.
#![cfg_attr(
    not(all(
        feature = "axum",
        feature = "dialect",
        feature = "postgres",
        feature = "redb",
        feature = "redis",
        feature = "testing"
    )),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "they lead to what features add"
    )
)]

/// A page of the guide, with the features that its examples need.
///
/// On a code host the links of a page lead to files; the definitions stand at its end. Here the first
/// definition of a link wins, and these lead to modules and items.
macro_rules! pages {
    ($($name:ident = $file:literal $(if $feature:literal)?;)+) => {
        $(
            $(#[cfg(any(not(doctest), feature = $feature))])?
            #[doc = include_str!("../docs/guide/links.txt")]
            #[doc = include_str!(concat!("../docs/guide/", $file))]
            pub mod $name {}
        )+
    };
}

pages! {
    concepts = "concepts.md";
    lifecycle = "lifecycle.md";
    authors = "authors.md";
    templates = "templates.md";
    dialect = "dialect.md" if "dialect";
    laziness = "laziness.md" if "testing";
    merging = "merging.md";
    patterns = "patterns.md";
    stores = "stores.md";
    http = "http.md" if "axum";
    tower_sessions = "tower_sessions.md" if "axum";
    figures = "figures.md";
    testing = "testing.md" if "testing";
    findings = "findings.md";
    advanced = "advanced.md";
    defaults = "defaults.md";
    scope = "scope.md";
    compatibility = "compatibility.md";
    security = "security.md";
    hostile = "../hostile.md";
    observability = "observability.md";
    mistakes = "mistakes.md";
}
