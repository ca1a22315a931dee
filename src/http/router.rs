//! The router: all routes, and the layers around them.

use axum::Router;
use tower::layer::util::Stack;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::app::App;
use super::pages::PageSettings;
use super::shape::{ShapeLayer, Shapes};
use super::{HttpParts, cors, description, extract, pages, request, routes};

impl App {
    /// Makes the router of everything.
    pub fn router(self) -> Router {
        self.router_with(PageSettings::default(), Router::new())
    }

    /// The same with what the pages are told, and with routes that only the pages of this server need.
    pub fn router_with(self, pages: PageSettings, more: Router<Self>) -> Router {
        let (router, description) = all_routes().split_for_parts();
        let shapes = Shapes::of(&description).with_any_query(pages::PATHS);
        let parts = self.parts.clone();
        let mut router = router.merge(routes::docs::pages(description));
        if parts.has_pages {
            router = router.merge(pages::routes(pages)).merge(more);
        }
        parts.dress_described(router.with_state(self), shapes)
    }

    /// Returns the description of every route. It needs no engine.
    pub fn openapi() -> OpenApi {
        description::completed(all_routes().split_for_parts().1)
    }
}

impl HttpParts {
    /// Adds what every route has: the answers for unknown routes and methods, CORS, and the
    /// request's layer. Call it last, after all routes and the metrics recorder are there.
    pub fn dress<S: Clone + Send + Sync + 'static>(&self, router: Router<S>) -> Router<S> {
        self.finish(router, None)
    }

    /// The same where a description says what each route takes: what it doesn't take is refused.
    pub fn dress_described<S: Clone + Send + Sync + 'static>(
        &self,
        router: Router<S>,
        shapes: Shapes,
    ) -> Router<S> {
        self.finish(router, Some(shapes))
    }

    fn finish<S: Clone + Send + Sync + 'static>(
        &self,
        router: Router<S>,
        shapes: Option<Shapes>,
    ) -> Router<S> {
        let router =
            router.fallback(extract::no_such_route).method_not_allowed_fallback(extract::no_such_method);
        let shape = ShapeLayer::new(shapes, self.clone());
        let request = request::RequestLayer::new(self.clone());
        // axum boxes a future for each call of `layer`: layers are stacked where nothing comes in between.
        match cors::layer(&self.cors_origins) {
            Some(cors) => router.layer(Stack::new(shape, cors)).layer(request),
            None => router.layer(Stack::new(shape, request)),
        }
    }
}

fn all_routes() -> OpenApiRouter<App> {
    // Paths are whole in each file: a nested router costs every request a copy of its URI.
    OpenApiRouter::with_openapi(description::description()).merge(routes::api()).merge(routes::running())
}
