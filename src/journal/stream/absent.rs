//! A process among others, in a program that can't be one: there is none, so none of this is ever asked.

use std::path::Path;

use tokio::sync::watch;

use super::lost::Lost;
use super::member::{NodeConfig, Standing};
use super::refused::LogRefused;
use super::settings::StreamConfig;
use crate::cluster::{Reads, View};

/// A process among others that share a log; there is none.
#[derive(Clone, Debug)]
pub enum Membership {}

#[expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::unused_async,
    reason = "none of it is ever called"
)]
impl Membership {
    /// Says that the program can't.
    pub fn begin(_: &Path, _: &StreamConfig, _: NodeConfig) -> Result<Self, LogRefused> {
        Err(LogRefused::NotBuiltIn)
    }

    pub fn view(&self) -> watch::Receiver<View> {
        match *self {}
    }

    pub fn reads(&self) -> Reads {
        match *self {}
    }

    pub fn standing(&self) -> Standing {
        match *self {}
    }

    pub async fn turn(&self) -> Result<(), Lost> {
        match *self {}
    }

    pub async fn waited(&self) -> Result<(), Lost> {
        match *self {}
    }

    pub async fn lost(&self) -> Lost {
        match *self {}
    }

    pub fn has_lost(&self) -> Option<Lost> {
        match *self {}
    }

    pub fn serve(&self) {
        match *self {}
    }

    pub fn drain(&self) {
        match *self {}
    }

    pub async fn leave(&self) {
        match *self {}
    }
}
