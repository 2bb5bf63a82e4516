//! The API as the verbs call it: JSON over TLS, and every way to fail as an exit code and three
//! lines.

use std::error::Error;
use std::time::Duration;

use control::api::wire::{List, Problem};
use jiff::Timestamp;
use policies::words::cli::{self, Trouble, connection};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};
use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::failure::{Exit, Failure, refusal};
use crate::cli::path::segment;
use crate::cli::printer::harmless;
use crate::cli::{tls, when};

/// How long a connection may take to stand.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long an answer may take. Longer than the server's longest wait (30 s), shorter than
/// anybody's patience.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// How long an answer may be, in bytes, but for files, which are not kept in memory. The longest
/// are lists. At first contact nobody knows yet who answers.
const ANSWER_MAX: usize = 64 << 20;

/// A connection to the API.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// Speaks to `url` by this TLS configuration.
    pub(crate) fn new(url: &str, tls: rustls::ClientConfig) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(ANSWER_LIMIT)
            .build()
            .map_err(|odd| Failure::new(Exit::Error, cli::odd_answer(&chain(&odd))))?;
        Ok(Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    /// Where it speaks to.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Reads something. `doing` completes "cannot …".
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        doing: &str,
        path: &str,
    ) -> Result<T, Failure> {
        let answer = self.answered(doing, self.http.get(self.at(path))).await?;
        self.parsed(answer).await
    }

    /// Reads all of a list that comes newest first and in pieces. `path` has a query.
    pub(crate) async fn all<T: DeserializeOwned>(
        &self,
        doing: &str,
        path: &str,
        name: impl Fn(&T) -> String,
    ) -> Result<List<T>, Failure> {
        let (all, _older) = self.newest(doing, path, name, usize::MAX).await?;
        Ok(all)
    }

    /// Reads the newest so many of such a list, and says whether there are older ones.
    pub(crate) async fn newest<T: DeserializeOwned>(
        &self,
        doing: &str,
        path: &str,
        name: impl Fn(&T) -> String,
        most: usize,
    ) -> Result<(List<T>, bool), Failure> {
        let piece = async |oldest: Option<String>| {
            let path = match oldest {
                None => path.to_owned(),
                Some(oldest) => format!("{path}&before={}", segment(&oldest)),
            };
            let piece: List<T> = self.get(doing, &path).await?;
            Ok(piece.items)
        };
        let (found, older) = pieced(piece, name, most).await?;
        Ok((List::of(found), older))
    }

    /// Changes something and reads what came of it.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        doing: &str,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let order = self.http.request(method, self.at(path)).json(body);
        let answer = self.answered(doing, order).await?;
        self.parsed(answer).await
    }

    /// Posts something and reads what came of it.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        doing: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.send(doing, Method::POST, path, body).await
    }

    /// Reads a file piece by piece, and gives the headers of the answer.
    pub(crate) async fn download(
        &self,
        doing: &str,
        path: &str,
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<HeaderMap, Failure> {
        let mut answer = self.answered(doing, self.http.get(self.at(path))).await?;
        let told = answer.headers().clone();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.failed(&error))? {
            each(&piece)?;
        }
        Ok(told)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn answered(
        &self,
        doing: &str,
        order: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Failure> {
        let answer = order.send().await.map_err(|error| self.failed(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = self.whole(answer).await.unwrap_or_default();
        Err(self.refused(doing, status, serde_json::from_slice(&body).ok()))
    }

    async fn parsed<T: DeserializeOwned>(&self, answer: reqwest::Response) -> Result<T, Failure> {
        let body = self.whole(answer).await?;
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body).map_err(|odd| {
            let found = harmless::line(&odd.to_string());
            Failure::new(Exit::Error, cli::odd_answer(&found))
        })
    }

    /// The body of an answer, as long as it is no longer than an answer may be.
    async fn whole(&self, mut answer: reqwest::Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.failed(&error))? {
            if body.len().saturating_add(piece.len()) > ANSWER_MAX {
                let odd = cli::odd_answer(cli::odd::LENGTH);
                return Err(Failure::new(Exit::Error, odd));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn refused(&self, doing: &str, status: StatusCode, problem: Option<Problem>) -> Failure {
        let code = problem
            .as_ref()
            .and_then(|problem| problem.kind.strip_prefix("urn:tidegate:"))
            .unwrap_or_default()
            .to_owned();
        let exit = Exit::of_problem(status.as_u16(), &code);
        match problem {
            None if exit == Exit::NotLoggedIn => Failure::new(
                exit,
                cli::not_logged_in(&connection::cannot(doing), &self.url),
            ),
            None => Failure::new(
                exit,
                cli::odd_answer(&connection::answered(&status.to_string())),
            ),
            Some(problem) => {
                let why = match problem.reference {
                    Some(reference) => connection::with_reference(&problem.detail, &reference),
                    None => problem.detail,
                };
                // One line each: what a server says must not pass for a line of ours.
                let why = one_line(&why);
                let hint = problem.hint.as_deref().map(harmless::line);
                let refused = refusal(&code);
                // Of what was seen there the server alone knows.
                let better = (refused != cli::Refusal::Unseen || hint.is_none())
                    .then(|| cli::next(doing, refused))
                    .flatten();
                let hint = better.or(hint);
                let trouble = cli::refused(doing, &why, hint.as_deref());
                Failure::new(exit, trouble.coded(harmless::line(&code)))
            }
        }
    }

    fn failed(&self, error: &reqwest::Error) -> Failure {
        match tls_fault(error) {
            Some(rustls::Error::InvalidCertificate(found)) => {
                Failure::new(Exit::Unproven, unproven(&self.url, found))
            }
            Some(rustls::Error::AlertReceived(_)) => Failure::new(
                Exit::NotLoggedIn,
                cli::not_logged_in(connection::LOGIN_REFUSED, &self.url),
            ),
            Some(rustls::Error::InvalidMessage(_)) => {
                Failure::new(Exit::Unreachable, cli::not_the_api(&self.url))
            }
            _other => Failure::new(
                Exit::Unreachable,
                cli::unreachable(&self.url, &silence(error)),
            ),
        }
    }
}

/// What may have several lines, as one.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    harmless::line(&lines.join(" "))
}

/// Why the certificate that was shown proves nothing. That it is out of its time is found before it is known by whom it is, and
/// that it has other names after that.
fn unproven(url: &str, found: &CertificateError) -> Trouble {
    if let CertificateError::ExpiredContext { time, not_after } = found {
        return cli::bastion_expired(url, &stamp(*not_after), &stamp(*time));
    }
    if let CertificateError::NotValidYetContext { time, not_before } = found {
        return cli::bastion_not_yet(url, &stamp(*not_before), &stamp(*time));
    }
    if let CertificateError::NotValidForNameContext { presented, .. } = found {
        let names = presented.iter().filter_map(|name| reachable(name));
        let port = Url::parse(url)
            .ok()
            .and_then(|url| url.port_or_known_default());
        return cli::bastion_misnamed(url, &names.collect::<Vec<_>>(), port.unwrap_or(443));
    }
    cli::another_bastion(url)
}

fn stamp(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    when::stamp(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
}

/// The name in `DnsName("bastion.example")` or `IpAddress(192.0.2.1)`, as webpki writes those of a certificate. Those with a star
/// are for databases.
fn reachable(shown: &str) -> Option<&str> {
    let (_kind, name) = shown.strip_suffix(')')?.split_once('(')?;
    let name = name.trim_matches('"');
    (!name.starts_with('*')).then_some(name)
}

/// Puts the newest so many together from pieces, and says whether there are older ones. A piece is what comes before the one
/// of that name, newest first.
async fn pieced<T>(
    piece: impl AsyncFn(Option<String>) -> Result<Vec<T>, Failure>,
    name: impl Fn(&T) -> String,
    most: usize,
) -> Result<(Vec<T>, bool), Failure> {
    let (mut found, mut oldest) = (Vec::new(), None);
    while found.len() <= most {
        let items = piece(oldest.clone()).await?;
        let last = items.last().map(&name);
        // A server that knows nothing of pieces sends the same again.
        if last.is_none() || last == oldest {
            break;
        }
        found.extend(items);
        oldest = last;
    }
    let older = found.len() > most;
    found.truncate(most);
    Ok((found, older))
}

/// Why nobody answered, without the names of our libraries where the system says it plainly.
fn silence(error: &reqwest::Error) -> String {
    use std::io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut,
    };
    let fact = match io_fault(error) {
        Some(ConnectionRefused) => connection::NOBODY_LISTENS,
        Some(ConnectionReset) => connection::ENDED,
        Some(HostUnreachable | NetworkUnreachable) => connection::NO_WAY,
        Some(TimedOut) => connection::NOT_IN_TIME,
        _unknown if error.is_timeout() => connection::NOT_IN_TIME,
        _unknown if chain(error).contains("dns") => connection::NO_ADDRESS,
        _unknown => return chain(error),
    };
    fact.to_owned()
}

/// What the system said, if it was the system: somewhere down the chain of sources.
fn io_fault(error: &(dyn Error + 'static)) -> Option<std::io::ErrorKind> {
    let mut next = Some(error);
    let mut found = None;
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<std::io::Error>() {
            found = Some(fault.kind());
        }
        next = error.source();
    }
    found
}

/// A client for `url` that trusts `ca` and shows `login`.
pub(crate) fn trusting(
    url: &str,
    ca: &[u8],
    login: Option<tls::Login<'_>>,
) -> Result<Client, Failure> {
    let config = tls::verified(ca, login).map_err(|error| {
        Failure::new(Exit::NotLoggedIn, cli::not_logged_in(&chain(&error), url))
    })?;
    Client::new(url, config)
}

/// What TLS found wrong, if it was TLS: somewhere down the chain of sources, wrapped in an I/O error.
fn tls_fault<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| tls_fault(inner)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error with its sources, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It says all that, and sends nobody to throw a login away.
    #[track_caller]
    fn check(found: &CertificateError, says: &[&str]) {
        let told = unproven("https://b:3443", found).to_string();
        for part in says {
            assert!(told.contains(part), "{told}");
        }
        assert!(!told.contains("tidegate logout"), "{told}");
    }

    #[test]
    fn a_certificate_out_of_its_time_is_no_other_bastion() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let expired = CertificateError::ExpiredContext {
            time: at(1_800_000_000),
            not_after: at(1_700_000_000),
        };
        check(
            &expired,
            &[
                "ended at 2023-11-14 22:13:20 UTC",
                "2027-01-15",
                "timedatectl",
            ],
        );
        let early = CertificateError::NotValidYetContext {
            time: at(1_700_000_000),
            not_before: at(1_800_000_000),
        };
        check(
            &early,
            &["begins at 2027-01-15", "2023-11-14", "timedatectl"],
        );
    }

    #[test]
    fn a_certificate_for_other_names_says_which() {
        let presented = [
            "DnsName(\"bastion.example\")",
            "DnsName(\"*.bastion.example\")",
            "IpAddress(192.0.2.1)",
        ];
        let found = CertificateError::NotValidForNameContext {
            expected: "b".try_into().unwrap(),
            presented: presented.map(str::to_owned).to_vec(),
        };
        check(
            &found,
            &[
                "called bastion.example, 192.0.2.1\n",
                "--bastion https://bastion.example:3443",
            ],
        );
    }

    #[test]
    fn a_certificate_by_another_ca_is_another_bastion() {
        for found in [
            CertificateError::UnknownIssuer,
            CertificateError::BadSignature,
        ] {
            let told = unproven("https://b:3443", &found);
            assert_eq!(told, cli::another_bastion("https://b:3443"));
        }
    }

    /// A list of so many, the newest called by the highest number, in pieces of two hundred.
    async fn listed(count: usize, most: usize) -> (Vec<usize>, bool) {
        let piece = async |oldest: Option<String>| {
            let before = oldest.map_or(count, |oldest| oldest.parse().unwrap());
            Ok((0..before).rev().take(200).collect())
        };
        let listed = pieced(piece, usize::to_string, most).await;
        listed.unwrap()
    }

    #[test]
    fn what_a_server_says_in_several_lines_is_one_line_without_escapes() {
        let said = "the policies are not accepted:\na.cedar:1:1: no\r\n  try: rm\x1b[2J";
        let want = "the policies are not accepted: a.cedar:1:1: no try: rm\\u{1b}[2J";
        assert_eq!(one_line(said), want);
    }

    #[tokio::test]
    async fn a_list_is_whole_however_many_pieces_it_has() {
        for count in [0, 1, 200, 450] {
            let want: Vec<usize> = (0..count).rev().collect();
            assert_eq!(listed(count, usize::MAX).await, (want, false));
        }
    }

    #[tokio::test]
    async fn whether_there_are_older_ones_is_known() {
        for (most, want) in [(300, true), (449, true), (450, false), (451, false)] {
            let (found, older) = listed(450, most).await;
            assert_eq!((found.len(), older), (most.min(450), want), "{most}");
            assert_eq!(found.first(), Some(&449));
        }
    }

    #[tokio::test]
    async fn a_server_that_sends_the_same_again_is_asked_no_more() {
        let piece = async |_oldest| Ok(vec![2, 1]);
        let found = pieced(piece, usize::to_string, usize::MAX).await;
        assert_eq!(found.unwrap(), (vec![2, 1], false));
    }
}
