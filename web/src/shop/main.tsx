// The storefront: from a show to a ticket.
import "@preact/signals";
import { render } from "preact";
import "../base/base.css";
import "../map/map.css";
import "./shop.css";
import { isOnline } from "../base/api";
import { forgetOld } from "../base/keys";
import { LiveRegion } from "../base/live";
import { followLinks, here, match } from "../base/router";
import { openSession, session } from "../base/session";
import { Button, Heading, LanguageSwitch } from "../base/ui";
import { AccountPage } from "./account";
import { beginSale } from "./data";
import { asFan, SignIn } from "./fan";
import { HomePage } from "./home";
import { ReservationPage } from "./reservation";
import { ReservationsPage } from "./reservations";
import { SalePage } from "./sale";
import { ShowPage } from "./show";
import { ready, t } from "./texts";
import { VerifyPage } from "./verify";

/** The places of the storefront; `src/http/pages.rs` has the same. */
function Place() {
  const { path, query } = here.value;
  const show = match("/shows/:id", path);
  if (show) return <ShowPage concertId={show.id as string} />;
  const sale = match("/schedules/:id", path);
  if (sale) return <SalePage scheduleId={sale.id as string} changeOf={query.get("change")} />;
  const reservation = match("/reservations/:id", path);
  if (reservation) return <ReservationPage reservationId={reservation.id as string} />;
  if (match("/reservations", path)) return <ReservationsPage />;
  if (match("/account", path)) return <AccountPage />;
  if (match("/verify", path)) return <VerifyPage token={query.get("token") ?? ""} />;
  if (path === "/") return <HomePage />;
  return <Heading title={t.value.notFoundTitle}>{t.value.notFoundTitle}</Heading>;
}

const isOurs = (path: string) =>
  ["/", "/shows/:id", "/schedules/:id", "/reservations/:id", "/reservations", "/account", "/verify"].some((pattern) =>
    match(pattern, path),
  );

function Page() {
  const isWide = match("/schedules/:id", here.value.path) !== null;
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
followLinks(isOurs);
const first = match("/schedules/:id", here.value.path);
if (first) void beginSale(first.id as string);
const root = document.getElementById("page") as HTMLElement;
ready.then(
  () => render(<Page />, root),
  // Without its texts the page has one sentence, in both languages.
  () => (root.textContent = "페이지를 불러오지 못했습니다. 새로고침해 주세요. This page couldn't be loaded. Please reload it."),
);
