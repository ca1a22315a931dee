// The storefront: from a show to a ticket.
import "@preact/signals";
import { type JSX, render } from "preact";
import "../base/base.css";
import "../map/map.css";
import "./shop.css";
import { isOnline } from "../base/api";
import { forgetOld } from "../base/keys";
import { LiveRegion } from "../base/live";
import { followLinks, here, match } from "../base/router";
import { openSession, session } from "../base/session";
import { Button, Heading, LanguageSwitch, NoticeTo } from "../base/ui";
import { codeOf } from "./code";
import { beginSale } from "./data";
import { asFan, SignIn } from "./fan";
import { HomePage } from "./home";
import { Later } from "./later";
import { SalePage } from "./sale";
import { ShowPage } from "./show";
import { ready, t } from "./texts";

const SALE = "/schedules/:id";

/** The places of the storefront; `src/http/pages.rs` has the same. */
const PLACES: Record<string, (id: string, query: URLSearchParams) => JSX.Element> = {
  "/": () => <HomePage />,
  "/shows/:id": (id) => <ShowPage concertId={id} />,
  [SALE]: (id, query) => <SalePage scheduleId={id} changeOf={query.get("change")} />,
  "/reservations/:id": (id) => <Later page={({ ReservationPage }) => <ReservationPage reservationId={id} />} />,
  "/reservations": () => <Later page={({ ReservationsPage }) => <ReservationsPage />} />,
  "/account": () => <Later page={({ AccountPage }) => <AccountPage />} />,
  "/verify": (_, query) => <Later page={({ VerifyPage }) => <VerifyPage token={query.get("token") ?? ""} />} />,
};

const placeOf = (path: string) => Object.keys(PLACES).find((pattern) => match(pattern, path));

function Place() {
  const { path, query } = here.value;
  const pattern = placeOf(path);
  if (pattern) return PLACES[pattern]!(match(pattern, path)?.id ?? "", query);
  return (
    <div class="narrow">
      <Heading title={t.value.notFoundTitle}>{t.value.notFoundTitle}</Heading>
      <NoticeTo kind="note" href="/" label={t.value.toShows} main>
        {t.value.notFoundText}
      </NoticeTo>
    </div>
  );
}

function Page() {
  const isWide = match(SALE, here.value.path) !== null;
  return (
    <>
      <a class="skip" href="#main">
        {t.value.skip}
      </a>
      <header class="top">
        <a class="mark" href="/">
          onsale
        </a>
        <nav aria-label={t.value.menu}>
          <a href="/reservations" aria-current={here.value.path.startsWith("/reservations") ? "page" : undefined}>
            {t.value.myReservations}
          </a>
          {session.value ? (
            <a href="/account" aria-current={here.value.path === "/account" ? "page" : undefined}>
              {session.value.name || session.value.userId}
            </a>
          ) : (
            <Button look="quiet" onClick={() => asFan()}>
              {t.value.signIn}
            </Button>
          )}
        </nav>
        <LanguageSwitch />
      </header>
      {!isOnline.value && <p class="offline">{t.value.offline}</p>}
      <main id="main" tabIndex={-1} class={isWide ? "wide" : undefined}>
        <Place key={here.value.path} />
      </main>
      <footer class="foot">
        <a href="/assets/licenses.txt">{t.value.licences}</a>
      </footer>
      <SignIn />
      <LiveRegion />
    </>
  );
}

openSession("fan");
forgetOld();
followLinks((path) => placeOf(path) !== undefined);
const first = match(SALE, here.value.path);
if (first) {
  void beginSale(first.id as string);
  // A link may bring the code of a sale.
  const code = here.value.query.get("code");
  if (code) codeOf(first.id as string).bring(code);
}
const root = document.getElementById("page") as HTMLElement;
ready.then(
  () => render(<Page />, root),
  // Without its texts the page has one sentence, in both languages.
  () => (root.textContent = "페이지를 불러오지 못했습니다. 새로고침해 주세요. This page couldn't be loaded. Please reload it."),
);
