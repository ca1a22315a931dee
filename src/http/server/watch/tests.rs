//! The deadlines of a connection, byte by byte; over sockets time can't be held still.

use core::time::Duration;

use super::*;
use crate::http::server::tests::limits;

/// Seconds until the connection's time is up.
fn left(watch: &Watch) -> Option<u64> {
    watch.deadline().map(|deadline| (deadline - Instant::now()).as_secs())
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_head_has_its_time_from_its_first_byte_on_and_an_idle_connection_another() {
    let watch = Watch::new(limits());
    assert_eq!(left(&watch), Some(75));
    pass(74).await;
    assert_eq!(watch.judge(Instant::now()), Verdict::GoOn);
    watch.read(b"\r\n");
    assert_eq!(left(&watch), Some(1), "an empty line begins nothing");
    watch.read(b"G");
    assert_eq!(left(&watch), Some(30));
    pass(29).await;
    watch.read(b"E");
    assert_eq!(left(&watch), Some(1), "more bytes give no more time");
    pass(1).await;
    assert_eq!(watch.judge(Instant::now()), Verdict::Close);

    let watch = Watch::new(limits());
    for _ in 0..2 {
        pass(70).await;
        assert_eq!(watch.read(HEAD), HEAD.len());
        assert!(!watch.begin(Some(0)));
        watch.works_until(Instant::now() + Duration::from_secs(10));
        assert_eq!(left(&watch), Some(10), "a route works");
        pass(10).await;
        assert_eq!(watch.judge(Instant::now()), Verdict::GoOn, "the request itself says what comes");
        assert_eq!(left(&watch), None);
        pass(90).await;
        watch.works_until(Instant::now());
        watch.answered(false);
        let answer = Answer::new(axum::body::Body::empty(), Arc::clone(&watch));
        drop(answer);
        assert_eq!(left(&watch), None, "the answer is yet to be written");
        pass(10).await;
        watch.flushed();
        assert_eq!(left(&watch), Some(75));
    }
    pass(75).await;
    assert_eq!(watch.judge(Instant::now()), Verdict::Close);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_has_its_time_and_a_slow_one_any() {
    let watch = Watch::new(limits());
    watch.read(HEAD);
    watch.begin(Some(0));
    watch.answered(false);
    for _ in 0..10 {
        watch.wrote::<usize>(&Poll::Pending);
        pass(29).await;
        watch.wrote::<usize>(&Poll::Pending);
        assert_eq!(watch.judge(Instant::now()), Verdict::GoOn);
        watch.wrote(&Poll::Ready(Ok(1)));
        assert_eq!(left(&watch), None);
    }
    watch.wrote::<usize>(&Poll::Pending);
    pass(30).await;
    assert_eq!(watch.judge(Instant::now()), Verdict::BreakOff);
}

#[test]
fn hyper_gets_a_head_alone_and_a_body_alone_and_all_of_what_is_not_known() {
    let watch = Watch::new(limits());
    let more = [HEAD, HEAD].concat();
    assert_eq!(watch.read(&more), HEAD.len());
    watch.begin(Some(3));
    assert_eq!(watch.read(b"ab"), 2);
    assert_eq!(watch.read(b"cGET"), 1);
    assert_eq!(watch.read(&more), HEAD.len());
    assert_eq!(watch.read(b"x"), 1, "what hyper asks for it gets");
    watch.begin(None);
    assert_eq!(watch.read(&more), more.len());
}
