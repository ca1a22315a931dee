//! The tables: their columns, keys, and meaning.
//!
//! Absent on purpose: how a database spells them; the writers of one ask here.
//!
//! Invariants: [`Table::ALL`] is in an order in which whole tables can be loaded with their foreign keys checked; a foreign
//! key names the primary key of its table.

/// A table of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each schema says what its table is")]
pub enum Table {
    Meta,
    Venues,
    VenueSections,
    VenueRows,
    VenueAreas,
    Concerts,
    Grades,
    PriceTypes,
    GradePrices,
    Fees,
    Schedules,
    Seats,
    Areas,
    Codes,
    Allotments,
    AllotmentSeats,
    AllotmentAreas,
    Users,
    Payments,
    Reservations,
    Orders,
    ReservationSeats,
    ReservationAreas,
    ReservationLines,
    Accounts,
    Transactions,
}

/// The type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Texts; instants and ids among them.
    Text,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// Whether a row may have nothing there.
    pub nullable: bool,
    /// Its meaning, for people.
    pub what: &'static str,
}

/// Columns that name a row of another table, or of none where one of them is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignKey {
    /// The columns here.
    pub columns: &'static [&'static str],
    /// The other table, whose primary key they are.
    pub table: Table,
}

/// How a table is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// Its name.
    pub name: &'static str,
    /// The meaning of a row, for people.
    pub what: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
    /// The columns that no two rows share.
    pub primary_key: &'static [&'static str],
    /// The tables that its rows refer to.
    pub foreign_keys: &'static [ForeignKey],
    /// The columns by which its rows are looked up, beside the primary key.
    pub indices: &'static [&'static [&'static str]],
}

impl Schema {
    /// Returns the names of the columns, in order.
    pub fn column_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.columns.iter().map(|column| column.name)
    }
}

impl Table {
    /// Every table, each behind those that it refers to.
    pub const ALL: [Self; 26] = [
        Self::Meta,
        Self::Venues,
        Self::VenueSections,
        Self::VenueRows,
        Self::VenueAreas,
        Self::Concerts,
        Self::Grades,
        Self::PriceTypes,
        Self::GradePrices,
        Self::Fees,
        Self::Schedules,
        Self::Seats,
        Self::Areas,
        Self::Codes,
        Self::Allotments,
        Self::AllotmentSeats,
        Self::AllotmentAreas,
        Self::Users,
        Self::Payments,
        Self::Reservations,
        Self::Orders,
        Self::ReservationSeats,
        Self::ReservationAreas,
        Self::ReservationLines,
        Self::Accounts,
        Self::Transactions,
    ];

    /// Returns how it is made.
    pub const fn schema(self) -> &'static Schema {
        match self {
            Self::Meta => &META,
            Self::Venues => &VENUES,
            Self::VenueSections => &VENUE_SECTIONS,
            Self::VenueRows => &VENUE_ROWS,
            Self::VenueAreas => &VENUE_AREAS,
            Self::Concerts => &CONCERTS,
            Self::Grades => &GRADES,
            Self::PriceTypes => &PRICE_TYPES,
            Self::GradePrices => &GRADE_PRICES,
            Self::Fees => &FEES,
            Self::Schedules => &SCHEDULES,
            Self::Seats => &SEATS,
            Self::Areas => &AREAS,
            Self::Codes => &CODES,
            Self::Allotments => &ALLOTMENTS,
            Self::AllotmentSeats => &ALLOTMENT_SEATS,
            Self::AllotmentAreas => &ALLOTMENT_AREAS,
            Self::Users => &USERS,
            Self::Payments => &PAYMENTS,
            Self::Reservations => &RESERVATIONS,
            Self::Orders => &ORDERS,
            Self::ReservationSeats => &RESERVATION_SEATS,
            Self::ReservationAreas => &RESERVATION_AREAS,
            Self::ReservationLines => &RESERVATION_LINES,
            Self::Accounts => &ACCOUNTS,
            Self::Transactions => &TRANSACTIONS,
        }
    }

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        self.schema().name
    }

    /// Finds a table by its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Returns its place in [`Table::ALL`].
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|table| *table == self).expect("every table is listed")
    }
}

const fn text(name: &'static str, what: &'static str) -> Column {
    Column { name, kind: Kind::Text, nullable: false, what }
}

const fn number(name: &'static str, what: &'static str) -> Column {
    Column { name, kind: Kind::Integer, nullable: false, what }
}

const fn maybe(column: Column) -> Column {
    Column { nullable: true, ..column }
}

const CURRENCY: Column = text("currency", "ISO 4217");
const VENUE_ID: Column = text("venue_id", "the venue");
const CONCERT_ID: Column = text("concert_id", "the concert");
const SCHEDULE_ID: Column = text("schedule_id", "the schedule");
const USER_ID: Column = text("user_id", "the user");

const OF_VENUE: ForeignKey = ForeignKey { columns: &["venue_id"], table: Table::Venues };
const OF_CONCERT: ForeignKey = ForeignKey { columns: &["concert_id"], table: Table::Concerts };
const OF_SCHEDULE: ForeignKey = ForeignKey { columns: &["schedule_id"], table: Table::Schedules };
const OF_USER: ForeignKey = ForeignKey { columns: &["user_id"], table: Table::Users };
const OF_PAYMENT: ForeignKey = ForeignKey { columns: &["payment_id"], table: Table::Payments };

static META: Schema = Schema {
    name: "meta",
    what: "what this export is of; one row",
    columns: &[
        number("position", "the position in the journal: every fact up to it is here, and none behind it"),
        text("taken_at", "the engine's instant then"),
        text("log_id", "the log that the position belongs to"),
        text("onsale_version", "the version of the engine"),
        number("schema_version", "the version of these tables"),
    ],
    primary_key: &["position"],
    foreign_keys: &[],
    indices: &[],
};

static VENUES: Schema = Schema {
    name: "venues",
    what: "a place where concerts happen",
    columns: &[
        VENUE_ID,
        text("name", "for people"),
        text("address", "for people"),
        text("type", "theater, hall, …"),
        text("time_zone", "the IANA name of the zone in which its days begin and end"),
    ],
    primary_key: &["venue_id"],
    foreign_keys: &[],
    indices: &[],
};

static VENUE_SECTIONS: Schema = Schema {
    name: "venue_sections",
    what: "a part of a venue, known by its floor and id together",
    columns: &[
        VENUE_ID,
        text("floor", "the floor that it is on"),
        text("section_id", "unique on its floor"),
        number("ordinal", "its place in the plan, from 1"),
    ],
    primary_key: &["venue_id", "floor", "section_id"],
    foreign_keys: &[OF_VENUE],
    indices: &[],
};

static VENUE_ROWS: Schema = Schema {
    name: "venue_rows",
    what: "a row of a section",
    columns: &[
        VENUE_ID,
        text("floor", "its section's floor"),
        text("section_id", "its section"),
        text("row_id", "unique in its section"),
        number("ordinal", "its place in its section, from 1 in front"),
        text("grade", "the grade of its seats"),
        number("seats", "how many seats it has"),
    ],
    primary_key: &["venue_id", "floor", "section_id", "row_id"],
    foreign_keys: &[ForeignKey {
        columns: &["venue_id", "floor", "section_id"],
        table: Table::VenueSections,
    }],
    indices: &[],
};

static VENUE_AREAS: Schema = Schema {
    name: "venue_areas",
    what: "a part of a venue without numbered seats",
    columns: &[
        VENUE_ID,
        text("area_id", "unique in its venue"),
        text("floor", "the floor that it is on"),
        text("name", "for people"),
        number("ordinal", "its place in the plan, from 1"),
        text("grade", "the grade of its places"),
        number("capacity", "how many places it has"),
    ],
    primary_key: &["venue_id", "area_id"],
    foreign_keys: &[OF_VENUE],
    indices: &[],
};

static CONCERTS: Schema = Schema {
    name: "concerts",
    what: "a show, of which schedules are the performances",
    columns: &[
        CONCERT_ID,
        VENUE_ID,
        text("title", "for people"),
        text("artist", "for people"),
        maybe(text("description", "for people")),
        maybe(text("poster_url", "a picture of it")),
        CURRENCY,
    ],
    primary_key: &["concert_id"],
    foreign_keys: &[OF_VENUE],
    indices: &[&["venue_id"]],
};

static GRADES: Schema = Schema {
    name: "grades",
    what: "a grade of a concert's seats, with its price now; a seat's own price is what it sells at",
    columns: &[
        CONCERT_ID,
        text("grade", "its name, as the venue's rows know it"),
        number("ordinal", "from 1, the best"),
        number("price", "of one seat, in minor units"),
        CURRENCY,
        text("color", "in which seat maps draw it"),
        maybe(text("description", "for people")),
    ],
    primary_key: &["concert_id", "grade"],
    foreign_keys: &[OF_CONCERT],
    indices: &[],
};

static PRICE_TYPES: Schema = Schema {
    name: "price_types",
    what: "whom a price of a concert is for, if it has price types",
    columns: &[
        CONCERT_ID,
        text("price_type", "unique in its concert"),
        number("ordinal", "from 1, the default, which costs a grade's own price"),
        text("name", "for people"),
        maybe(text("note", "what it takes to have this price")),
    ],
    primary_key: &["concert_id", "price_type"],
    foreign_keys: &[OF_CONCERT],
    indices: &[],
};

static GRADE_PRICES: Schema = Schema {
    name: "grade_prices",
    what: "the price now of another price type than the default in a grade; one without a row isn't sold there",
    columns: &[
        CONCERT_ID,
        text("grade", "the grade"),
        text("price_type", "the price type"),
        number("price", "of one seat, in minor units"),
        CURRENCY,
    ],
    primary_key: &["concert_id", "grade", "price_type"],
    foreign_keys: &[
        ForeignKey { columns: &["concert_id", "grade"], table: Table::Grades },
        ForeignKey { columns: &["concert_id", "price_type"], table: Table::PriceTypes },
    ],
    indices: &[],
};

static FEES: Schema = Schema {
    name: "fees",
    what: "what a concert adds now to the price of places",
    columns: &[
        CONCERT_ID,
        text("fee_id", "unique in its concert"),
        number("ordinal", "its place among them, from 1"),
        text("name", "for people"),
        number("amount", "in minor units"),
        CURRENCY,
        text("per", "seat (each place) or reservation"),
        number("refundable", "1 where a cancellation gives it back, else 0"),
    ],
    primary_key: &["concert_id", "fee_id"],
    foreign_keys: &[OF_CONCERT],
    indices: &[],
};

static SCHEDULES: Schema = Schema {
    name: "schedules",
    what: "a performance of a concert: the unit of sale",
    columns: &[
        SCHEDULE_ID,
        CONCERT_ID,
        VENUE_ID,
        text("status", "upcoming, open, closed or cancelled"),
        text("starts_at", "when the performance begins"),
        text("ends_at", "when it ends"),
        maybe(text("sales_open_at", "when the sale opens by itself")),
        maybe(text("sales_close_at", "when it closes by itself; when the performance begins, where null")),
        number("seats", "how many it has, and places of areas"),
        number("seats_available", "of these, free to be held"),
        number("seats_held", "of these, held or being paid"),
        number("seats_reserved", "of these, sold"),
        number("seats_blocked", "of these, off sale"),
        CURRENCY,
    ],
    primary_key: &["schedule_id"],
    foreign_keys: &[OF_CONCERT, OF_VENUE],
    indices: &[&["concert_id"], &["starts_at"]],
};

static SEATS: Schema = Schema {
    name: "seats",
    what: "a seat of a schedule",
    columns: &[
        SCHEDULE_ID,
        text("seat_id", "unique in its venue"),
        text("floor", "its section's floor"),
        text("section_id", "its section"),
        text("row_id", "its row"),
        number("number", "its number in its row"),
        text("grade", "its grade"),
        number("price", "what it sells at, in minor units"),
        CURRENCY,
        text("status", "available, held (or being paid), reserved or blocked"),
    ],
    primary_key: &["schedule_id", "seat_id"],
    foreign_keys: &[OF_SCHEDULE],
    indices: &[&["schedule_id", "status"]],
};

static AREAS: Schema = Schema {
    name: "areas",
    what: "an area of a schedule: its places are counted",
    columns: &[
        SCHEDULE_ID,
        text("area_id", "unique in its venue"),
        text("floor", "the floor that it is on"),
        text("grade", "the grade of its places"),
        number("price", "what a place sells at, in minor units"),
        CURRENCY,
        number("capacity", "how many places it has"),
        number("available", "of these, free to be held"),
        number("held", "of these, held or being paid"),
        number("reserved", "of these, sold"),
        number("blocked", "of these, off sale"),
    ],
    primary_key: &["schedule_id", "area_id"],
    foreign_keys: &[OF_SCHEDULE],
    indices: &[],
};

static CODES: Schema = Schema {
    name: "codes",
    what: "a code of a schedule, with how often it was used",
    columns: &[
        SCHEDULE_ID,
        text("code", "in capital letters"),
        number("ended", "1 where it is over for new holds, else 0"),
        maybe(text(
            "phases",
            "the phases that it opens, as a JSON list; null where it is for the general sale",
        )),
        maybe(text("allotment_id", "the allotment that it opens, which may have been released since")),
        maybe(number("discount_percent", "how many hundredths of a seat's price it takes off")),
        maybe(number("discount_per_seat", "how much of each seat it takes off, in minor units")),
        maybe(text("grades", "the grades that it is for, as a JSON list; null where it is for all")),
        maybe(text(
            "price_types",
            "the price types that it is for, as a JSON list; null where it is for all",
        )),
        maybe(number("max_uses", "how many holds can use it; null where any number can")),
        maybe(number("max_seats", "how many seats these can have together; null where any number")),
        maybe(text("valid_from", "from when on it can be used")),
        maybe(text("valid_until", "from when on it no longer can")),
        number("used", "how many holds have used it: those that live, and those that were paid for"),
        number("seats", "how many seats these have together"),
    ],
    primary_key: &["schedule_id", "code"],
    foreign_keys: &[OF_SCHEDULE],
    indices: &[],
};

static ALLOTMENTS: Schema = Schema {
    name: "allotments",
    what: "seats and places of areas of a schedule that are set aside; one that was released is gone",
    columns: &[
        SCHEDULE_ID,
        text("allotment_id", "unique in its schedule"),
        text("name", "for people"),
        maybe(text("reason", "for people")),
        maybe(text("release_at", "when what is left becomes available to everyone")),
        number("total", "how many places it has"),
        number("held", "of these, held or being paid"),
        number("sold", "of these, sold"),
        number("left", "of these, left to those who bring a code of it"),
    ],
    primary_key: &["schedule_id", "allotment_id"],
    foreign_keys: &[OF_SCHEDULE],
    indices: &[],
};

static ALLOTMENT_SEATS: Schema = Schema {
    name: "allotment_seats",
    what: "a seat of an allotment: left, held or sold",
    columns: &[SCHEDULE_ID, text("seat_id", "the seat"), text("allotment_id", "the allotment")],
    primary_key: &["schedule_id", "seat_id"],
    foreign_keys: &[
        ForeignKey { columns: &["schedule_id", "seat_id"], table: Table::Seats },
        ForeignKey { columns: &["schedule_id", "allotment_id"], table: Table::Allotments },
    ],
    indices: &[&["schedule_id", "allotment_id"]],
};

static ALLOTMENT_AREAS: Schema = Schema {
    name: "allotment_areas",
    what: "places of an area that an allotment has",
    columns: &[
        SCHEDULE_ID,
        text("area_id", "the area"),
        text("allotment_id", "the allotment"),
        number("total", "how many places it has"),
        number("held", "of these, held or being paid"),
        number("sold", "of these, sold"),
        number("left", "of these, left to those who bring a code of it"),
    ],
    primary_key: &["schedule_id", "allotment_id", "area_id"],
    foreign_keys: &[
        ForeignKey { columns: &["schedule_id", "area_id"], table: Table::Areas },
        ForeignKey { columns: &["schedule_id", "allotment_id"], table: Table::Allotments },
    ],
    indices: &[&["schedule_id", "area_id"]],
};

static USERS: Schema = Schema {
    name: "users",
    what: "everyone who signed up, and everyone whom another table names",
    columns: &[
        USER_ID,
        text("status", "active, suspended or deleted"),
        maybe(text("email", "null for an identity provider's user, and for one who was deleted")),
        maybe(text("name", "null as the email")),
        maybe(text("created_at", "null for a user of whom nothing had to be remembered")),
    ],
    primary_key: &["user_id"],
    foreign_keys: &[],
    indices: &[],
};

static PAYMENTS: Schema = Schema {
    name: "payments",
    what: "a payment, or an attempt that came to nothing",
    columns: &[
        text("payment_id", "its id"),
        maybe(text("schedule_id", "the schedule; null where it was removed since")),
        text("reservation_id", "what it pays for; an ended reservation may be forgotten before its payment"),
        maybe(USER_ID),
        text(
            "method",
            "balance, card, kakao_pay, naver_pay, toss or external; an order's: cash, card_terminal, invoice or complimentary",
        ),
        text(
            "status",
            "ready, pending, completed, failed, refunding or refunded; a cancelled order's stays refunding, since it is given back by hand",
        ),
        number("amount", "in minor units"),
        maybe(number("refund_amount", "how much of it goes or went back; null where nothing is to")),
        CURRENCY,
        maybe(text("order_id", "the gateway's number of the order")),
        maybe(text("failure_code", "why it failed, or was given back")),
        maybe(text("gateway_code", "the gateway's own code, where it declined")),
        maybe(text("gateway_reason", "what it said then")),
        maybe(text("gateway_payment_key", "the gateway's id of the payment")),
        maybe(text("gateway_transaction", "the gateway's id of the capture, where it told one")),
        maybe(text("gateway_approved_at", "when it captured, by its clock")),
        maybe(text("gateway_refund", "the gateway's id of the refund, where it told one")),
        text("created_at", "when it was started"),
        text("updated_at", "when it last changed"),
        maybe(text("completed_at", "when it completed")),
        maybe(text("refunded_at", "when the money was back")),
    ],
    primary_key: &["payment_id"],
    foreign_keys: &[OF_SCHEDULE, OF_USER],
    indices: &[
        &["schedule_id"],
        &["reservation_id"],
        &["user_id"],
        &["order_id"],
        &["status", "completed_at"],
    ],
};

static RESERVATIONS: Schema = Schema {
    name: "reservations",
    what: "seats of one schedule for one user; ended ones for as long as the engine keeps them",
    columns: &[
        text("reservation_id", "its id"),
        SCHEDULE_ID,
        maybe(USER_ID),
        text("status", "held, paying, confirmed, cancelled, released or expired"),
        number("seats", "how many it has, or had, and places of areas"),
        number("amount", "what they cost together, in minor units: the sum of its lines"),
        number("refund_amount", "of this, what a cancellation gives back, or has given back"),
        CURRENCY,
        maybe(text("code", "the code that it used")),
        maybe(text(
            "allotment_id",
            "the allotment that it was taken from, which may have been released since",
        )),
        maybe(text(
            "payment_id",
            "the payment that is under way or stands for it; null where that came to nothing",
        )),
        text("created_at", "when it was held"),
        text("expires_at", "the hold's deadline"),
        maybe(text("confirmed_at", "when it was confirmed")),
        maybe(text("cancelled_at", "when it was cancelled")),
        maybe(text("ended_at", "when it was released, expired or cancelled")),
        number("recovered", "1 where an outage moved its deadline, else 0"),
    ],
    primary_key: &["reservation_id"],
    foreign_keys: &[OF_SCHEDULE, OF_USER, OF_PAYMENT],
    indices: &[&["schedule_id", "status"], &["user_id"], &["payment_id"]],
};

static ORDERS: Schema = Schema {
    name: "orders",
    what: "a reservation that the box office sold: its payment is completed by the order, and given back by hand",
    columns: &[
        text("reservation_id", "the reservation"),
        text("payment_id", "its payment, of the reservation's amount"),
        text("clerk_id", "who sold it"),
        text("method", "cash, card_terminal, invoice or complimentary"),
        maybe(text("reference", "the till's name for the payment")),
        maybe(text("name", "who comes with it")),
        maybe(text("reason", "why it costs what it does")),
    ],
    primary_key: &["reservation_id"],
    foreign_keys: &[ForeignKey { columns: &["reservation_id"], table: Table::Reservations }, OF_PAYMENT],
    indices: &[&["clerk_id"], &["payment_id"]],
};

static RESERVATION_SEATS: Schema = Schema {
    name: "reservation_seats",
    what: "a seat of a reservation",
    columns: &[
        text("reservation_id", "the reservation"),
        SCHEDULE_ID,
        text("seat_id", "the seat"),
        text("grade", "its grade"),
        maybe(text("price_type", "its price type; null where the concert has none")),
        number("price", "what it costs by that, in minor units"),
        CURRENCY,
    ],
    primary_key: &["reservation_id", "seat_id"],
    foreign_keys: &[
        ForeignKey { columns: &["reservation_id"], table: Table::Reservations },
        ForeignKey { columns: &["schedule_id", "seat_id"], table: Table::Seats },
    ],
    indices: &[&["schedule_id", "seat_id"]],
};

static RESERVATION_AREAS: Schema = Schema {
    name: "reservation_areas",
    what: "places of an area that a reservation has, or had",
    columns: &[
        text("reservation_id", "the reservation"),
        number("ordinal", "its place among the reservation's areas, from 1"),
        SCHEDULE_ID,
        text("area_id", "the area"),
        text("grade", "its grade"),
        maybe(text("price_type", "their price type; null where the concert has none")),
        number("price", "what a place costs by that, in minor units"),
        CURRENCY,
        number("count", "how many places"),
    ],
    primary_key: &["reservation_id", "ordinal"],
    foreign_keys: &[
        ForeignKey { columns: &["reservation_id"], table: Table::Reservations },
        ForeignKey { columns: &["schedule_id", "area_id"], table: Table::Areas },
    ],
    indices: &[&["schedule_id", "area_id"]],
};

static RESERVATION_LINES: Schema = Schema {
    name: "reservation_lines",
    what: "a line of what a reservation costs; the lines of each add up to its amount",
    columns: &[
        text("reservation_id", "the reservation"),
        number("ordinal", "its place among them, from 1"),
        text("kind", "seat, area, fee or discount"),
        text("name", "for people; of a discount the code, or who gave it said why"),
        number("count", "how often the unit's amount counts"),
        number("unit_amount", "in minor units; below zero where it is taken off"),
        number("amount", "of all, in minor units"),
        CURRENCY,
        number("refundable", "1 where a cancellation gives it back, else 0"),
    ],
    primary_key: &["reservation_id", "ordinal"],
    foreign_keys: &[ForeignKey { columns: &["reservation_id"], table: Table::Reservations }],
    indices: &[],
};

static ACCOUNTS: Schema = Schema {
    name: "accounts",
    what: "what a user has: the sum of the account's charges and refunds less its payments",
    columns: &[
        USER_ID,
        number("balance", "in minor units"),
        CURRENCY,
        maybe(text("updated_at", "when money last moved")),
    ],
    primary_key: &["user_id"],
    foreign_keys: &[OF_USER],
    indices: &[],
};

static TRANSACTIONS: Schema = Schema {
    name: "transactions",
    what: "a movement of an account",
    columns: &[
        text("transaction_id", "its id"),
        text("user_id", "whose account"),
        number("ordinal", "grows with each movement of an account, not by one"),
        text("type", "charge and refund put money in, payment takes it"),
        number("amount", "in minor units, in the direction that the type says"),
        number("balance_after", "the balance with it, in minor units"),
        CURRENCY,
        maybe(text("payment_id", "the payment that it belongs to")),
        text("created_at", "when"),
    ],
    primary_key: &["transaction_id"],
    foreign_keys: &[ForeignKey { columns: &["user_id"], table: Table::Accounts }, OF_PAYMENT],
    indices: &[&["user_id", "ordinal"], &["payment_id"], &["created_at"]],
};
