//! `onsale cluster`: the nodes that share a log, and how one of them hands over.

use core::fmt::Write;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use super::answer::success;
use super::engine_at;
use super::offline::IfMissing;
use super::output::{Failure, plain, print};

/// The routes of every node.
const CLUSTER: &str = "/api/v1/admin/cluster";
const DRAIN: &str = "/api/v1/admin/cluster/drain";
/// The longest table of nodes that is read.
const ANSWER_LEN_MAX: usize = 1 << 20;

pub(super) fn command() -> Command {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print the node's own document");
    let status = Command::new("status")
        .about("Show the nodes of a cluster, as one of them sees it")
        .arg(json)
        .args(flags())
        .after_help(
            "EXAMPLE\n  onsale cluster status --url http://127.0.0.1:8080 \\\n    \
             --admin-token \"$ONSALE_ADMIN_TOKEN\"\n\n\
             PRINTS\n  a line for each node: its name, its part (owner or standby), how it is (alive, silent, draining), its version and its \
             address; and how often the log was taken over\n\n\
             EXIT CODES\n  0  a node has the log, or the process is alone\n  1  nobody has the log, or no answer: the reason is on \
             standard error\n  2  wrong usage or settings",
        );
    let drain = Command::new("drain")
        .about("Have the node at this URL hand over what it has, and end")
        .args(flags())
        .after_help(
            "EXAMPLE\n  onsale cluster drain --url http://10.0.0.1:8080 \\\n    --admin-token \"$ONSALE_ADMIN_TOKEN\"\n\n\
             PRINTS\n  the name of the node. What is under way there is answered, another node takes the log over at once, and the process \
             ends with exit code 0. Name the node's own URL, and not that of a balancer\n\n\
             EXIT CODES\n  0  it begins to\n  1  it doesn't: the reason is on standard error\n  2  wrong usage or settings",
        );
    Command::new("cluster")
        .about("Show the nodes that share a log, or have one hand over")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(status)
        .subcommand(drain)
}

/// Returns the flags that name a node. Only a running one can tell anything.
fn flags() -> impl Iterator<Item = Arg> {
    engine_at::flags().into_iter().map(|flag| match flag.get_id().as_str() {
        "url" => flag.required(true).help("A node, such as http://127.0.0.1:8080 (http only)"),
        _ => flag,
    })
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("status", matches)) => status(matches),
        Some(("drain", matches)) => drain(matches),
        Some((_, _)) | None => Err(Failure::Usage("there is no such command".to_owned())),
    }
}

fn status(matches: &ArgMatches) -> Result<(), Failure> {
    let mut body = Vec::new();
    engine_at::download(matches, CLUSTER, &mut |bytes| {
        body.extend_from_slice(bytes);
        if body.len() > ANSWER_LEN_MAX {
            return Err(Failure::Failed("the answer is too long to be a table of nodes".to_owned()));
        }
        Ok(())
    })?;
    let shown = success(&super::answer::Answer { status: 200, body })?;

    if matches.get_flag("json") {
        let text = serde_json::to_string_pretty(&shown).map_err(Failure::failed)?;
        print(&format!("{text}\n"))?;
    } else {
        print(&table(&shown))?;
    }
    if shown["mode"] == "cluster" && shown["owner"].is_null() {
        return Err(Failure::Failed("no node has the log just now: it is being taken over".to_owned()));
    }
    Ok(())
}

fn drain(matches: &ArgMatches) -> Result<(), Failure> {
    let begun = engine_at::post(matches, DRAIN, Vec::new(), IfMissing::Refuse)?;
    print(&format!("{} hands over and ends\n", text(&begun, "node")))
}

/// Writes the nodes in columns.
fn table(shown: &Value) -> String {
    if shown["mode"] != "cluster" {
        return "this process is alone: it isn't a node of a cluster\n".to_owned();
    }
    let me = text(shown, "me");
    let members = shown["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows = vec![["NODE", "ROLE", "STATE", "VERSION", "ADDRESS"].map(str::to_owned)];
    rows.extend(members.iter().map(|member| {
        let is = |name: &str| member[name] == Value::Bool(true);
        let state = match (is("isAlive"), is("isDraining")) {
            (false, _) => "silent",
            (true, true) => "draining",
            (true, false) => "alive",
        };
        let node = text(member, "node");
        let node = if node == me { format!("{node} (asked)") } else { node };
        [node, text(member, "role"), state.to_owned(), text(member, "version"), text(member, "address")]
    }));

    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3].map(width);
    let mut lines = String::new();
    for [node, role, state, version, address] in &rows {
        let [a, b, c, d] = widths;
        let _ = writeln!(lines, "{node:a$}  {role:b$}  {state:c$}  {version:d$}  {address}");
    }
    let _ = writeln!(lines, "the log was taken over {} times", shown["epoch"]);
    lines
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().map(plain).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn member(node: &str, role: &str, is_alive: bool, is_draining: bool) -> Value {
        json!({"node": node, "role": role, "isAlive": is_alive, "isDraining": is_draining, "version": "0.1.0",
            "address": format!("http://{node}:8080")})
    }

    #[test]
    fn the_nodes_stand_in_columns_with_what_they_do_and_how_they_are() {
        let members = [
            member("one", "owner", true, false),
            member("another", "standby", true, true),
            member("lost\u{7}", "standby", false, false),
        ];
        let shown =
            json!({"mode": "cluster", "me": "another", "owner": "one", "epoch": 3, "members": members});
        assert_eq!(
            table(&shown),
            "NODE             ROLE     STATE     VERSION  ADDRESS\n\
             one              owner    alive     0.1.0    http://one:8080\n\
             another (asked)  standby  draining  0.1.0    http://another:8080\n\
             lost\u{fffd}            standby  silent    0.1.0    http://lost\u{fffd}:8080\n\
             the log was taken over 3 times\n"
        );
    }

    #[test]
    fn a_process_alone_says_so() {
        assert!(table(&json!({"mode": "single"})).contains("alone"));
    }
}
