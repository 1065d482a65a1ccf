//! Finding out whether a request came over HTTPS.

use std::net::IpAddr;

use http::{HeaderMap, Request};

use crate::config::{Environment, SessionConfig};

/// The address of the other end of the connection: the visitor's, or a proxy's.
///
/// A server that accepts connections itself puts it into the extensions of each request, so that the
/// layer recognizes [`trusted_proxies`](crate::SessionConfig). With the feature `axum`,
/// `into_make_service_with_connect_info::<SocketAddr>()` does the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub IpAddr);

/// Marks a request whose connection was accepted with TLS, in its extensions. For servers that accept
/// both HTTPS and plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls;

/// Why a request counts as one over plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlainHttp {
    /// The visitor came without HTTPS, or through a proxy that is not trusted.
    Visitor,
    /// Proxies are trusted, but nothing says who has opened the connection.
    UnknownPeer,
    /// A trusted proxy does not say how the visitor came.
    SilentProxy,
}

impl PlainHttp {
    /// What the error of a write and the log say.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Visitor => {
                "plain HTTP has none in production: serve over HTTPS, name the proxy that ends TLS in `trusted_proxies`, or set `environment: development` on your own machine"
            }
            Self::UnknownPeer => {
                "plain HTTP has none in production, and `trusted_proxies` can't be applied, because the address of the connection is not known: serve with `into_make_service_with_connect_info::<SocketAddr>()`, or put a `PeerAddr` into the extensions of the request"
            }
            Self::SilentProxy => {
                "plain HTTP has none in production, and the trusted proxy does not say how the visitor came: let it send `X-Forwarded-Proto`"
            }
        }
    }
}

/// Returns why a request may have no session; `None` if it may have one.
pub(super) fn refusal<B>(
    config: &SessionConfig,
    https: bool,
    request: &Request<B>,
) -> Option<PlainHttp> {
    if https
        || !config.is_enabled()
        || config.environment() == Environment::Development
        || request.extensions().get::<Tls>().is_some()
    {
        return None;
    }
    match peer(request) {
        Some(peer) if config.trusts(peer) => match proxy_says_https(request) {
            Some(true) => None,
            Some(false) => Some(PlainHttp::Visitor),
            None => Some(PlainHttp::SilentProxy),
        },
        None if config.trusts_any() => Some(PlainHttp::UnknownPeer),
        _ => Some(PlainHttp::Visitor),
    }
}

fn peer<B>(request: &Request<B>) -> Option<IpAddr> {
    if let Some(PeerAddr(peer)) = request.extensions().get() {
        return Some(*peer);
    }
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(peer)) = request
        .extensions()
        .get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()
    {
        return Some(peer.ip());
    }
    None
}

/// Returns whether the headers of a proxy, or the URI, say HTTPS; `None` if they say nothing. Proxies append to these headers, or ignore one of
/// them, so the visitor may have written parts of them: every scheme in them must be HTTPS.
fn proxy_says_https<B>(request: &Request<B>) -> Option<bool> {
    let claims = x_forwarded_proto(request.headers()).chain(forwarded(request.headers()));
    let mut https = None;
    for claim in claims {
        https = Some(https.unwrap_or(true) && claim);
    }
    // `http` in a URI says nothing: it is the scheme of the connection to this server.
    https.or_else(|| (request.uri().scheme_str() == Some("https")).then_some(true))
}

fn is_https(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https")
}

fn x_forwarded_proto(headers: &HeaderMap) -> impl Iterator<Item = bool> + '_ {
    headers
        .get_all("x-forwarded-proto")
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|scheme| std::str::from_utf8(scheme).is_ok_and(|scheme| is_https(scheme.trim())))
}

/// For each hop of `Forwarded` (RFC 7239) that names a scheme, whether it is HTTPS. Without any scheme
/// the header is ignored. If other hops name one and the last hop, the nearest proxy's, does not, the
/// answer is no: the visitor may have written the others.
fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = bool> + '_ {
    let hops: Vec<Option<bool>> = headers
        .get_all("forwarded")
        .iter()
        .flat_map(|value| match value.to_str() {
            Ok(value) => split_unquoted(value, ',').map(proto).collect(),
            Err(_) => vec![Some(false)],
        })
        .collect();
    let silent = hops.iter().all(Option::is_none);
    let last = hops.len().saturating_sub(1);
    hops.into_iter()
        .enumerate()
        .filter_map(move |(n, hop)| hop.or((n == last && !silent).then_some(false)))
}

/// Whether the `proto` of one hop is HTTPS. If a hop names several, all must be.
fn proto(hop: &str) -> Option<bool> {
    let mut schemes = split_unquoted(hop, ';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let named = name.trim().eq_ignore_ascii_case("proto");
        named.then(|| is_https(value.trim().trim_matches('"')))
    });
    let first = schemes.next()?;
    Some(schemes.fold(first, |all, one| all && one))
}

/// Splits at separators outside of quoted strings.
pub(super) fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let escape = quoted && !escaped && c == '\\';
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = escape;
        c == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn https(uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        proxy_says_https(&request.body(()).unwrap()) == Some(true)
    }

    #[test]
    fn every_word_about_the_scheme_must_be_https() {
        let xfp = "x-forwarded-proto";
        assert!(https("/", &[(xfp, "https")]));
        assert!(https("/", &[(xfp, "HTTPS , https")]));
        assert!(https(
            "/",
            &[(xfp, "https"), ("forwarded", "for=192.0.2.1;proto=https")]
        ));
        for headers in [
            &[][..],
            &[(xfp, "http")],
            &[(xfp, "")],
            &[(xfp, "https,http")],
            &[(xfp, "http,https")],
            &[(xfp, "https"), (xfp, "http")],
            &[(xfp, "https"), ("forwarded", "proto=http")],
            &[(xfp, "http"), ("forwarded", "proto=https")],
            &[(xfp, "wss")],
        ] {
            assert!(!https("/", headers), "{headers:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        for value in [
            "proto=https",
            "for=192.0.2.43; PROTO=Https",
            "for=\"[2001:db8::17]:47011\";proto=\"https\"",
            "for=\"a,b;proto=http\";proto=https",
            "for=\"a\\\",proto=http\";proto=https",
            "for=192.0.2.1;proto=https, for=192.0.2.2;proto=https",
            "for=192.0.2.1, for=192.0.2.2;proto=https",
        ] {
            assert!(https("/", &[("forwarded", value)]), "{value}");
        }
        for value in [
            "",
            "for=192.0.2.43",
            "proto",
            "proto=http",
            "proto=https;proto=http",
            "proto=https, proto=http",
            "proto=http, proto=https",
            // The visitor wrote the first hop, the proxy names no scheme.
            "proto=https, for=192.0.2.1",
            "for=\"a,proto=https",
        ] {
            assert!(!https("/", &[("forwarded", value)]), "{value}");
        }
    }

    #[test]
    fn the_uri_speaks_only_where_no_header_does() {
        assert!(https("https://example.com/", &[]));
        assert!(!https("http://example.com/", &[]));
        assert!(https(
            "http://example.com/",
            &[("x-forwarded-proto", "https")]
        ));
        assert!(!https(
            "https://example.com/",
            &[("x-forwarded-proto", "http")]
        ));
        assert!(https(
            "https://example.com/",
            &[("forwarded", "for=192.0.2.1")]
        ));
    }
}
