//! Coordinates, points and outlines of a plan.

use core::fmt::Arguments;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::checks::Checks;
use crate::domain::venue::{COORDINATE_MAX, Coordinate, OUTLINE_LEN_MAX, OUTLINE_LEN_MIN, Outline, Point};

/// A coordinate, in any one unit. It is kept to a millionth of it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Number(f64);

impl Number {
    pub(super) fn check(self, field: Arguments<'_>, checks: &mut Checks) -> Coordinate {
        // A decimal text is rounded as a person would round it.
        Coordinate::parse(&format!("{:.6}", self.0)).unwrap_or_else(|| {
            checks.wrong(field, format!("must be from -{COORDINATE_MAX} to {COORDINATE_MAX}"));
            Coordinate::default()
        })
    }
}

impl From<Coordinate> for Number {
    fn from(coordinate: Coordinate) -> Self {
        Self(coordinate.to_string().parse().expect("a decimal number"))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Most are whole, and are written as they are read.
        match self.0.to_string().parse::<i64>() {
            Ok(whole) => serializer.serialize_i64(whole),
            Err(_) => serializer.serialize_f64(self.0),
        }
    }
}

impl PartialSchema for Number {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Number);
        let number = number.minimum(Some(-COORDINATE_MAX)).maximum(Some(COORDINATE_MAX));
        number.description(Some("A number of any one unit, kept to a millionth of it")).into()
    }
}

impl ToSchema for Number {
    fn name() -> std::borrow::Cow<'static, str> {
        "Coordinate".into()
    }
}

/// A point: `[x, y]`. `y` grows away from the stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PointDocument([Number; 2]);

impl PointDocument {
    pub(super) fn check(self, field: Arguments<'_>, checks: &mut Checks) -> Point {
        let Self([x, y]) = self;
        Point {
            x: x.check(format_args!("{field}[0]"), checks),
            y: y.check(format_args!("{field}[1]"), checks),
        }
    }
}

impl From<Point> for PointDocument {
    fn from(point: Point) -> Self {
        Self([point.x.into(), point.y.into()])
    }
}

impl PartialSchema for PointDocument {
    fn schema() -> RefOr<Schema> {
        let point = ArrayBuilder::new().items(Ref::from_schema_name(Number::name()));
        let point = point.min_items(Some(2)).max_items(Some(2));
        point.description(Some("`[x, y]`; `y` grows away from the stage")).into()
    }
}

impl ToSchema for PointDocument {
    fn name() -> std::borrow::Cow<'static, str> {
        "Point".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Number::name().into_owned(), Number::schema()));
    }
}

/// A polygon of 3 to 1,000 points; the last is joined to the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutlineDocument(Vec<PointDocument>);

impl OutlineDocument {
    pub(super) fn check(self, field: Arguments<'_>, checks: &mut Checks) -> Option<Outline> {
        let count = self.0.len();
        if !(OUTLINE_LEN_MIN..=OUTLINE_LEN_MAX).contains(&count) {
            checks.wrong(field, format!("must have {OUTLINE_LEN_MIN} to {OUTLINE_LEN_MAX} points"));
            return None;
        }
        let point =
            |(index, point): (usize, PointDocument)| point.check(format_args!("{field}[{index}]"), checks);
        Outline::new(self.0.into_iter().enumerate().map(point).collect())
    }
}

impl From<&Outline> for OutlineDocument {
    fn from(outline: &Outline) -> Self {
        Self(outline.points().iter().map(|point| PointDocument::from(*point)).collect())
    }
}

impl PartialSchema for OutlineDocument {
    fn schema() -> RefOr<Schema> {
        let points = ArrayBuilder::new().items(Ref::from_schema_name(PointDocument::name()));
        let points = points.min_items(Some(OUTLINE_LEN_MIN)).max_items(Some(OUTLINE_LEN_MAX));
        points.description(Some("A polygon; its last point is joined to the first")).into()
    }
}

impl ToSchema for OutlineDocument {
    fn name() -> std::borrow::Cow<'static, str> {
        "Outline".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((PointDocument::name().into_owned(), PointDocument::schema()));
        PointDocument::schemas(schemas);
    }
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Stage)]
pub struct StageDocument {
    /// Its outline on the plan.
    pub outline: OutlineDocument,
}
