//! Small sales with the real server, which `cargo test --workspace` builds beside this program.

use clap::Parser;

use super::{
    in_a_box::{self, InABox},
    journeys::{self, Journeys},
};

#[derive(Parser)]
enum Cli {
    Journeys(Journeys),
    #[command(name = "box")]
    InABox(InABox),
}

fn parsed(words: &str) -> Cli {
    let ours = std::env::current_exe().unwrap();
    let server = ours.parent().unwrap().parent().unwrap().join("onsale");
    assert!(server.is_file(), "{} isn't there: build the whole workspace", server.display());
    let server = server.to_str().unwrap().to_owned();
    let setting = "ONSALE_JOURNAL_RESERVE_BYTES=0".to_owned();
    let start = ["--start".to_owned(), server, "--server-env".to_owned(), setting];
    let words = ["loadtest".to_owned()].into_iter().chain(words.split(' ').map(str::to_owned));
    Cli::parse_from(words.chain(start))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_show_sells_out_though_the_server_is_killed_and_nothing_is_sold_twice() {
    let words = "box --places 100 --people 1000 --active 150 --join-rate 500 --hold-seconds 2 --think-millis 20 --connections 8";
    let Cli::InABox(options) = parsed(words) else { unreachable!("these are the words of a box") };
    assert!(in_a_box::run(options).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_go_the_whole_way_and_the_book_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let (page, figures) = (dir.path().join("page.html"), dir.path().join("figures.json"));
    let words = format!(
        "journeys --rate 100 --seconds 3 --seats 500 --hold-seconds 2 --think-millis 5 --connections 8 --html {} --json {}",
        page.display(),
        figures.display()
    );
    let Cli::Journeys(options) = parsed(&words) else { unreachable!("these are the words of journeys") };
    assert!(journeys::run(options).await.unwrap());

    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(figures).unwrap()).unwrap();
    let steps: Vec<_> =
        figures["steps"].as_array().unwrap().iter().map(|step| step["step"].clone()).collect();
    assert_eq!(steps, ["join", "map", "hold", "exchange", "pay", "release", "cancel", "leave"]);
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("<svg").count(), 3);
    assert!(page.ends_with("</html>\n") && !page.contains("NaN"));
}
