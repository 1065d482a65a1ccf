//! How it all fits together, page by page. Each can be read by itself.
//!
//! | page | what it is about |
//! |---|---|
//! | [concepts] | what there is, and the words for it |
//! | [lifecycle] | a request from cookie to cookie; a session from first write to end |
//! | [templates] | the tag, reading, the caller's own globals |
//! | [dialect] | Liquid as platformOS and Shopify write it |
//! | [laziness] | what a request costs |
//! | [merging] | parallel requests, and transactions |
//! | [stores] | which one to choose, sweeping, one of your own |
//! | [http] | axum, proxies, one's own machine, other frameworks |
//! | [testing] | scenario files, time, stores |
//! | [defaults] | how we chose the defaults, each with its source |
//! | [scope] | what this crate is for, and what it is not for |
//! | [compatibility] | where it differs from platformOS |
//! | [security] | what is promised, by which test, and the host's duty |
//! | [hostile] | attacks with templates, data and requests, and what comes of each |
//! | [observability] | events for the log, counters for the metrics |
//! | [mistakes] | when it does not work: what one sees, and what to do |
//!
//! These modules hold text only and are there in the documentation alone: no program can name them.
#![cfg_attr(
    not(all(
        feature = "axum",
        feature = "dialect",
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
macro_rules! pages {
    ($($name:ident = $file:literal $(if $feature:literal)?;)+) => {
        $(
            $(#[cfg(any(not(doctest), feature = $feature))])?
            #[doc = include_str!(concat!("../docs/guide/", $file))]
            pub mod $name {}
        )+
    };
}

pages! {
    concepts = "concepts.md";
    lifecycle = "lifecycle.md";
    templates = "templates.md";
    dialect = "dialect.md" if "dialect";
    laziness = "laziness.md";
    merging = "merging.md";
    stores = "stores.md";
    http = "http.md" if "axum";
    testing = "testing.md";
    defaults = "defaults.md";
    scope = "scope.md";
    compatibility = "compatibility.md";
    security = "security.md";
    hostile = "../hostile.md";
    observability = "observability.md";
    mistakes = "mistakes.md";
}
