//! All routes of the application.

use utoipa::openapi::OpenApi;

use super::app::App;
use super::cluster::Gate;
use super::pages::PageSettings;
use super::request::Site;
use super::table::Routes;
use super::{description, pages, routes};

impl App {
    /// Puts everything in one table.
    pub fn site(self) -> Site {
        self.site_with(PageSettings::default(), Routes::new())
    }

    /// The same with what the pages are told, and with routes that only the pages of this server need.
    pub fn site_with(self, settings: PageSettings, more: Routes<Self>) -> Site {
        let mut routes = all_routes();
        let description = core::mem::take(&mut routes.openapi);
        let parts = self.parts.clone();
        routes = routes.merge(routes::docs::pages(description));
        if parts.has_pages {
            routes = routes.merge(pages::routes(settings)).merge(more);
        }
        let gate = self.cluster.as_ref().map(|node| Gate::of(node, &parts.shutdown));
        parts.dress_behind(gate, routes.strict(), &self)
    }

    /// Returns the description of every route. It needs no engine.
    pub fn openapi() -> OpenApi {
        description::completed(all_routes().openapi)
    }
}

fn all_routes() -> Routes<App> {
    Routes::within(description::description()).merge(routes::api()).merge(routes::running())
}
