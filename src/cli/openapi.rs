//! `onsale openapi`: the description of the API, for generators of clients.

use clap::Command;
use onsale::http::app::App;

use super::output::{Failure, print};

pub(super) fn command() -> Command {
    Command::new("openapi")
        .about("Print the OpenAPI 3.1 description of the HTTP API")
        .after_help(
            "EXAMPLE\n  onsale openapi > onsale.openapi.json\n\n\
             PRINTS\n  the JSON that a running engine serves at /openapi.json. It needs no engine and no settings\n\n\
             EXIT CODES\n  0  printed",
        )
}

pub(super) fn run() -> Result<(), Failure> {
    let description = App::openapi().to_pretty_json().map_err(Failure::failed)?;
    print(&format!("{description}\n"))
}
