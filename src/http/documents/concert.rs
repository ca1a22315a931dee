//! A concert as its administrator writes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::checks::{Checks, NAME_LEN_MAX, NAMES_MAX};
use super::venue::all;
use super::words::URL_LEN_MAX;
use super::words::{
    CatalogueId, CurrencyText, GradeText, LineName, LineText, LinesText, NameText, Names, PictureUrl,
    by_role, numbers_by_id,
};
use crate::domain::concert::{
    Concert, FEE_MAX, Fee, FeePer, LINE_NAME_LEN_MAX, NamedPriceType, PRICE_MAX, PricedGrade,
};
use crate::domain::ids::{ConcertId, FeeId, GradeName, PriceTypeId, VenueId};
use crate::domain::money::{Currency, Money};
use crate::http::problem::FieldError;

/// The highest price of a seat that a document can have, in minor units.
pub const PRICE_MINOR_MAX: u64 = 1_000_000_000_000;
const _: () = assert!(PRICE_MINOR_MAX <= PRICE_MAX.minor());

/// The longest name of a colour.
const COLOR_LEN_MAX: usize = 32;

/// A show at a venue. Its performances are schedules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Concert, example = json!({
    "title": "킹키부츠", "artist": "신디 로퍼", "venueId": "charlotte-theater", "posterUrl": "/posters/kinky.jpg",
    "currency": "KRW", "grades": [{"grade": "VIP", "price": 170_000, "color": "#FF0000"}],
    "cast": {"charlie": ["김호영"]}
}))]
pub struct ConcertDocument {
    /// Its id: 1–128 letters of any script, digits, `-_.:`. In a `PUT` it is the path's and may be left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CatalogueId>)]
    pub concert_id: Option<String>,
    /// Its title.
    #[schema(value_type = NameText)]
    pub title: String,
    /// Who performs.
    #[schema(value_type = LineText)]
    pub artist: String,
    /// A description, which may have several lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<LinesText>)]
    pub description: Option<String>,
    /// The venue at which it is performed.
    #[schema(value_type = CatalogueId)]
    pub venue_id: String,
    /// The URL of a picture: `http`, `https` or relative.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PictureUrl>)]
    pub poster_url: Option<String>,
    /// The ISO 4217 currency of its prices.
    #[schema(value_type = CurrencyText)]
    pub currency: String,
    /// Its grades from best to least, 1 to 64. They include every grade of the venue's rows.
    #[schema(min_items = 1, max_items = 64)]
    pub grades: Vec<GradeDocument>,
    /// Who plays what.
    #[serde(default)]
    #[schema(schema_with = by_role::<Names>)]
    pub cast: BTreeMap<String, Vec<String>>,
    /// Whom prices are for, at most 16; the first is the default, and costs a grade's `price`. Without any, everyone pays that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub price_types: Vec<PriceTypeDocument>,
    /// What is added to the price of places, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub fees: Vec<FeeDocument>,
}

/// Whom a price is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = PriceType)]
pub struct PriceTypeDocument {
    /// Its id, unique in the concert.
    #[schema(value_type = CatalogueId)]
    pub price_type: String,
    /// Its name, which reservations keep.
    #[schema(value_type = LineName)]
    pub name: String,
    /// What it takes to have this price.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<LinesText>)]
    pub note: Option<String>,
}

/// An amount that is added to the price of places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Fee)]
pub struct FeeDocument {
    /// Its id, unique in the concert.
    #[schema(value_type = CatalogueId)]
    pub fee_id: String,
    /// Its name, which reservations keep.
    #[schema(value_type = LineName)]
    pub name: String,
    /// In the currency's minor unit.
    #[schema(maximum = 1_000_000_000_000_u64)]
    pub amount: u64,
    /// How often it counts: for each place, or once for a reservation.
    pub per: FeePerWord,
    /// Whether a cancellation gives it back.
    pub refundable: bool,
}

/// How often a fee counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FeePer)]
pub enum FeePerWord {
    /// For each place.
    Seat,
    /// Once for a reservation.
    Reservation,
}

/// A grade with its price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Grade)]
pub struct GradeDocument {
    /// Its name, as in the venue's rows.
    #[schema(value_type = GradeText)]
    pub grade: String,
    /// The price of one seat, in the currency's minor unit.
    #[schema(maximum = 1_000_000_000_000_u64)]
    pub price: u64,
    /// Its colour in seat maps: `#RRGGBB`, or a colour's name.
    #[schema(pattern = "^(#([0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})|[A-Za-z]{1,32})$")]
    pub color: String,
    /// What it offers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<LinesText>)]
    pub description: Option<String>,
    /// The prices of other price types than the default, by their ids. One that isn't here isn't sold in this grade.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(schema_with = by_type)]
    pub prices: BTreeMap<String, u64>,
}

impl ConcertDocument {
    /// Checks the document; `id` is the path's, or `None` where the document itself must have one.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn into_domain(self, id: Option<&str>) -> Result<Concert, Vec<FieldError>> {
        let mut checks = Checks::default();
        let concert = self.check(id, &mut checks);
        checks.finish(concert)
    }

    pub(super) fn check(self, id: Option<&str>, checks: &mut Checks) -> Option<Concert> {
        let id = checks.own_id("concertId", id, self.concert_id.as_deref(), ConcertId::parse);
        checks.text(format_args!("title"), &self.title, 1..=NAME_LEN_MAX);
        checks.text(format_args!("artist"), &self.artist, 0..=NAME_LEN_MAX);
        if let Some(description) = &self.description {
            checks.lines(format_args!("description"), description);
        }

        let venue = checks.parsed(format_args!("venueId"), &self.venue_id, VenueId::parse);
        if let Some(url) = &self.poster_url {
            check_url(checks, url);
        }

        let currency = Currency::parse(&self.currency).ok();
        if currency.is_none() {
            checks.wrong(format_args!("currency"), "must be an ISO 4217 code, as in KRW");
        }

        let grade = |(index, grade): (usize, GradeDocument)| {
            checks.within(format_args!("grades[{index}]"), |checks| grade.check(checks))
        };
        let grades = all(self.grades.into_iter().enumerate().map(grade));
        check_cast(checks, &self.cast);
        let priced = |(index, priced): (usize, PriceTypeDocument)| {
            checks.within(format_args!("priceTypes[{index}]"), |checks| priced.check(checks))
        };
        let price_types = all(self.price_types.into_iter().enumerate().map(priced));
        let fee = |(index, fee): (usize, FeeDocument)| {
            checks.within(format_args!("fees[{index}]"), |checks| fee.check(checks))
        };
        let fees = all(self.fees.into_iter().enumerate().map(fee));

        Some(Concert {
            id: id?,
            title: self.title,
            artist: self.artist,
            description: self.description,
            venue: venue?,
            poster_url: self.poster_url,
            currency: currency?,
            grades: grades?,
            cast: self.cast,
            price_types: price_types?,
            fees: fees?,
        })
    }
}

/// Checks the URL of a picture: a page that shows it must not run it.
fn check_url(checks: &mut Checks, url: &str) {
    checks.text(format_args!("posterUrl"), url, 1..=URL_LEN_MAX);
    let scheme = url.split(['/', '?', '#']).next().and_then(|start| start.split_once(':'));
    let known = scheme.is_none_or(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
    });
    if !known || url.contains(char::is_whitespace) {
        checks.wrong(format_args!("posterUrl"), "must be an http, https or relative URL");
    }
}

fn check_cast(checks: &mut Checks, cast: &BTreeMap<String, Vec<String>>) {
    if cast.len() > NAMES_MAX {
        return checks.wrong(format_args!("cast"), format!("must have at most {NAMES_MAX} roles"));
    }
    for (role, names) in cast {
        check_role(checks, "cast", role, names);
    }
}

/// Checks a role and its players. The error's path has no part of the client's text, which may be anything.
pub(super) fn check_role(checks: &mut Checks, field: &str, role: &str, names: &[String]) {
    checks.text(format_args!("{field}"), role, 1..=NAME_LEN_MAX);
    if names.len() > NAMES_MAX {
        checks.wrong(format_args!("{field}"), format!("a role must have at most {NAMES_MAX} names"));
    }
    for name in names.iter().take(NAMES_MAX) {
        checks.text(format_args!("{field}"), name, 1..=NAME_LEN_MAX);
    }
}

impl GradeDocument {
    fn check(self, checks: &mut Checks) -> Option<PricedGrade> {
        let name = checks.parsed(format_args!("grade"), &self.grade, GradeName::parse);
        let price = Money::new(self.price).filter(|price| price.minor() <= PRICE_MINOR_MAX);
        if price.is_none() {
            checks.wrong(format_args!("price"), format!("must be at most {PRICE_MINOR_MAX}"));
        }
        if !is_color(&self.color) {
            checks.wrong(format_args!("color"), "must be a colour, as in #FF0000 or red");
        }
        if let Some(description) = &self.description {
            checks.lines(format_args!("description"), description);
        }
        let mut prices = BTreeMap::new();
        for (id, price) in &self.prices {
            let id = checks.parsed(format_args!("prices"), id, PriceTypeId::parse);
            let price = Money::new(*price).filter(|price| price.minor() <= PRICE_MINOR_MAX);
            if price.is_none() {
                checks.wrong(format_args!("prices"), format!("must be at most {PRICE_MINOR_MAX} each"));
            }
            prices.extend(id.zip(price));
        }

        let (color, description) = (self.color, self.description);
        Some(PricedGrade { name: name?, price: price?, color, description, prices })
    }
}

impl PriceTypeDocument {
    fn check(self, checks: &mut Checks) -> Option<NamedPriceType> {
        let id = checks.parsed(format_args!("priceType"), &self.price_type, PriceTypeId::parse);
        checks.text(format_args!("name"), &self.name, 1..=LINE_NAME_LEN_MAX);
        if let Some(note) = &self.note {
            checks.lines(format_args!("note"), note);
        }
        Some(NamedPriceType { id: id?, name: self.name.into(), note: self.note })
    }
}

impl FeeDocument {
    fn check(self, checks: &mut Checks) -> Option<Fee> {
        let id = checks.parsed(format_args!("feeId"), &self.fee_id, FeeId::parse);
        checks.text(format_args!("name"), &self.name, 1..=LINE_NAME_LEN_MAX);
        let amount = Money::new(self.amount).filter(|amount| *amount <= FEE_MAX);
        if amount.is_none() {
            checks.wrong(format_args!("amount"), format!("must be at most {}", FEE_MAX.minor()));
        }
        let per = match self.per {
            FeePerWord::Seat => FeePer::Seat,
            FeePerWord::Reservation => FeePer::Reservation,
        };
        Some(Fee { id: id?, name: self.name.into(), amount: amount?, per, refundable: self.refundable })
    }
}

impl From<&Fee> for FeeDocument {
    fn from(fee: &Fee) -> Self {
        Self {
            fee_id: fee.id.to_string(),
            name: fee.name.to_string(),
            amount: fee.amount.minor(),
            per: match fee.per {
                FeePer::Seat => FeePerWord::Seat,
                FeePer::Reservation => FeePerWord::Reservation,
            },
            refundable: fee.refundable,
        }
    }
}

/// Describes prices by the ids of their price types.
fn by_type() -> Object {
    numbers_by_id(PRICE_MINOR_MAX)
}

/// Tells whether a text is `#` and 3, 4, 6 or 8 hexadecimal digits, or a word: nothing else, since it goes into style
/// sheets.
fn is_color(text: &str) -> bool {
    match text.strip_prefix('#') {
        Some(digits) => {
            matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        None => {
            (1..=COLOR_LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic())
        }
    }
}

impl From<&Concert> for ConcertDocument {
    fn from(concert: &Concert) -> Self {
        let grade = |grade: &PricedGrade| GradeDocument {
            grade: grade.name.to_string(),
            price: grade.price.minor(),
            color: grade.color.clone(),
            description: grade.description.clone(),
            prices: grade.prices.iter().map(|(id, price)| (id.to_string(), price.minor())).collect(),
        };
        let priced = |priced: &NamedPriceType| PriceTypeDocument {
            price_type: priced.id.to_string(),
            name: priced.name.to_string(),
            note: priced.note.clone(),
        };
        Self {
            concert_id: Some(concert.id.to_string()),
            title: concert.title.clone(),
            artist: concert.artist.clone(),
            description: concert.description.clone(),
            venue_id: concert.venue.to_string(),
            poster_url: concert.poster_url.clone(),
            currency: concert.currency.as_str().to_owned(),
            grades: concert.grades.iter().map(grade).collect(),
            cast: concert.cast.clone(),
            price_types: concert.price_types.iter().map(priced).collect(),
            fees: concert.fees.iter().map(FeeDocument::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::json::parse;

    fn document() -> Value {
        json!({
            "title": "킹키부츠", "artist": "신디 로퍼", "description": "두 줄\n입니다", "venueId": "v",
            "posterUrl": "/posters/kinky.jpg", "currency": "KRW",
            "grades": [{"grade": "VIP", "price": 170_000, "color": "#FF0000", "description": "best"},
                       {"grade": "R", "price": 0, "color": "teal"}],
            "cast": {"charlie": ["김호영", "신재범"]},
        })
    }

    fn read(value: &Value) -> Result<Concert, Vec<String>> {
        let document: ConcertDocument = parse(value.to_string().as_bytes()).unwrap();
        let fields = |errors: Vec<FieldError>| errors.into_iter().map(|error| error.field).collect();
        document.into_domain(Some("c")).map_err(fields)
    }

    #[test]
    fn a_concert_is_given_back_as_it_was_written_with_its_id() {
        let mut expected = document();
        let written = serde_json::to_value(ConcertDocument::from(&read(&document()).unwrap())).unwrap();
        expected["concertId"] = "c".into();
        assert_eq!(written, expected);
        assert_eq!(read(&written), read(&document()), "what GET gives can be put");
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let mut wrong = document();
        for (pointer, value) in [
            ("/title", json!("x".repeat(501))),
            ("/artist", json!("a\u{1b}b")),
            ("/description", json!("a\u{0}b")),
            ("/venueId", json!("a b")),
            ("/posterUrl", json!("javascript:alert(1)")),
            ("/currency", json!("won")),
            ("/grades/0/grade", json!("")),
            ("/grades/0/price", json!(PRICE_MINOR_MAX + 1)),
            ("/grades/1/color", json!("red;background:url(x)")),
            ("/cast/charlie/1", json!("")),
        ] {
            *wrong.pointer_mut(pointer).unwrap() = value;
        }
        let fields = read(&wrong).unwrap_err();
        assert_eq!(
            fields,
            [
                "title",
                "artist",
                "description",
                "venueId",
                "posterUrl",
                "currency",
                "grades[0].grade",
                "grades[0].price",
                "grades[1].color",
                "cast",
            ]
        );
    }

    #[test]
    fn a_price_is_a_whole_number() {
        for price in ["170000.0", "1e5", "-1", "\"170000\"", "null", "18446744073709551616"] {
            let text = document().to_string().replacen("170000", price, 1);
            assert!(parse::<ConcertDocument>(text.as_bytes()).is_err(), "{price}");
        }
    }

    #[test]
    fn a_picture_is_never_a_script() {
        for (url, right) in [
            ("https://example.org/a.png", true),
            ("HTTP://example.org/a:b", true),
            ("posters/a.jpg", true),
            ("/a:b", true),
            ("?a:b", true),
            ("JavaScript:alert(1)", false),
            ("data:text/html,x", false),
            ("java\tscript:alert(1)", false),
            ("", false),
        ] {
            let mut value = document();
            value["posterUrl"] = url.into();
            assert_eq!(read(&value).is_ok(), right, "{url}");
        }
    }
}
