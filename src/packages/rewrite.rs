//! Replaces URLs in a document while it is sent: links to a registry's servers become links to the
//! cache. Nothing is held but the few bytes that may be the start of a URL.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};

/// What is replaced by what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rewrite(Vec<(String, String)>);

impl Rewrite {
    /// These texts, none of which may be empty or begin another.
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// Whether it changes nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rewrites a stream.
    pub(super) fn apply<E: Send + 'static>(
        self,
        bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> impl Stream<Item = Result<Bytes, E>> + Send + 'static {
        let held = (Box::pin(bytes), BytesMut::new(), self, false);
        stream::unfold(held, |(mut bytes, mut rest, rewrite, ended)| async move {
            if ended {
                return None;
            }
            loop {
                let (chunk, last) = match bytes.next().await {
                    Some(Ok(chunk)) => (chunk, false),
                    Some(Err(error)) => return Some((Err(error), (bytes, rest, rewrite, true))),
                    None => (Bytes::new(), true),
                };
                rest.extend_from_slice(&chunk);
                let done = rewrite.take(&mut rest, last);
                if last || !done.is_empty() {
                    return Some((Ok(done), (bytes, rest, rewrite, last)));
                }
            }
        })
    }

    /// Rewrites what is complete; what may be the start of a text stays, unless it is the end.
    fn take(&self, rest: &mut BytesMut, last: bool) -> Bytes {
        let mut done = BytesMut::with_capacity(rest.len());
        let mut at = 0;
        'bytes: while at < rest.len() {
            let here = &rest[at..];
            for (from, to) in &self.0 {
                if here.starts_with(from.as_bytes()) {
                    done.extend_from_slice(to.as_bytes());
                    at += from.len();
                    continue 'bytes;
                }
                if !last && here.len() < from.len() && from.as_bytes().starts_with(here) {
                    break 'bytes;
                }
            }
            // Up to the next byte that may begin a text.
            let begins = |byte: &u8| self.0.iter().any(|(from, _)| from.as_bytes()[0] == *byte);
            let next = here.iter().skip(1).position(begins);
            let plain = next.map_or(here.len(), |next| next + 1);
            done.extend_from_slice(&here[..plain]);
            at += plain;
        }
        drop(rest.split_to(at));
        done.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rewritten(chunks: &[&str]) -> String {
        let rewrite = Rewrite::new(vec![
            ("https://a/".to_owned(), "/x/".to_owned()),
            ("https:\\/\\/a\\/".to_owned(), "/y/".to_owned()),
        ]);
        let chunks: Vec<_> = chunks
            .iter()
            .map(|text| Ok::<_, ()>(Bytes::copy_from_slice(text.as_bytes())))
            .collect();
        let mut all = Vec::new();
        let mut stream = Box::pin(rewrite.apply(stream::iter(chunks)));
        while let Some(chunk) = stream.next().await {
            all.extend_from_slice(&chunk.expect("a chunk"));
        }
        String::from_utf8(all).expect("text")
    }

    #[tokio::test]
    async fn urls_are_replaced_wherever_chunks_end() {
        let text = "hhttps://a/1 https://b/ https:\\/\\/a\\/2 https://a/https://a/ http";
        let expected = "h/x/1 https://b/ /y/2 /x//x/ http";
        assert_eq!(rewritten(&[text]).await, expected);
        for at in 0..text.len() {
            let (first, second) = text.split_at(at);
            assert_eq!(rewritten(&[first, second]).await, expected, "{at}");
        }
        assert_eq!(rewritten(&["https://a"]).await, "https://a");
        assert_eq!(rewritten(&[]).await, "");
    }
}
