// The operations page: how sales go, and what to do about it.
import "@preact/signals";
import { render } from "preact";
import "../base/base.css";
import "../map/map.css";
import "./ops.css";
import { isOnline } from "../base/api";
import { forgetOld } from "../base/keys";
import { LiveRegion } from "../base/live";
import { followLinks, here, match } from "../base/router";
import { session } from "../base/session";
import { Button, Heading, LanguageSwitch } from "../base/ui";
import { AllPage } from "./all";
import { Later } from "./later";
import { LookupPage } from "./lookup";
import { findNodes, hasNodes, NodesPage } from "./nodes";
import { instant } from "./parts";
import { sentence } from "./refusal";
import { type Part, SchedulePage } from "./schedule";
import { SignInPage } from "./signin";
import { ready, t } from "./texts";
import { failure, overview, watch } from "./watch";
import { comeBack, isIn, may, role, signOut } from "./who";

const PARTS: Part[] = ["", "seats", "access", "counter", "room", "history"];

function Place() {
  const { path } = here.value;
  for (const part of PARTS) {
    const found = match(`/ops/schedules/:id${part && `/${part}`}`, path);
    if (found) return <SchedulePage key={found.id} scheduleId={found.id as string} part={part} />;
  }
  if (match("/ops/lookup", path)) return <LookupPage />;
  if (match("/ops/nodes", path) && may("administer")) return <NodesPage />;
  if (match("/ops", path)) return may("watch") ? <AllPage /> : <Later part={({ CounterPage }) => <CounterPage />} />;
  return <Heading title={t.value.title}>{t.value.notFoundTitle}</Heading>;
}

const isAt = (path: string) => here.value.path.startsWith(path);
const isOurs = (path: string) => path === "/ops" || path.startsWith("/ops/");

function Page() {
  return (
    <>
      <a class="skip" href="#main">
        {t.value.skip}
      </a>
      <header class="top">
        <a class="mark" href="/ops">
          onsale <span>{t.value.opsShort}</span>
        </a>
        {isIn.value && (
          <nav aria-label={t.value.title}>
            <a href="/ops" aria-current={isAt("/ops/lookup") || isAt("/ops/nodes") ? undefined : "page"}>
              {t.value.sales}
            </a>
            {may("watch") && (
              <a href="/ops/lookup" aria-current={isAt("/ops/lookup") ? "page" : undefined}>
                {t.value.lookup}
              </a>
            )}
            {hasNodes() && (
              <a href="/ops/nodes" aria-current={isAt("/ops/nodes") ? "page" : undefined}>
                {t.value.nodes}
              </a>
            )}
          </nav>
        )}
        <div class="top-end">
          {isIn.value && <Pulse />}
          {isIn.value && (
            <span class="who">
              {session.value?.name || t.value.scripts} <span class="soft">{role.value}</span>
            </span>
          )}
          {isIn.value && (
            <Button look="quiet" onClick={signOut} id="sign-out">
              {t.value.signOut}
            </Button>
          )}
          <LanguageSwitch />
        </div>
      </header>
      {isIn.value && <Trouble />}
      <main id="main" tabIndex={-1}>
        {isIn.value ? <Place /> : <SignInPage />}
      </main>
      <LiveRegion />
    </>
  );
}

/** Whether the engine takes changes, and of when the figures are. */
function Pulse() {
  const now = overview.value;
  if (!now) return null;
  const isFresh = failure.value === null;
  return (
    <span class={`pulse ${isFresh && now.ready ? "good" : "bad"}`}>
      <span class="dot" aria-hidden="true" />
      {isFresh ? (now.ready ? t.value.ready : t.value.notReady) : t.value.stale} <time dateTime={now.at}>{instant(now.at).slice(0, 8)}</time>
    </span>
  );
}

/** What is wrong with the engine or the way to it. */
function Trouble() {
  const now = overview.value;
  const last = now ? t.value.figuresOf(instant(now.at).slice(0, 8)) : "";
  if (!isOnline.value) return <p class="trouble" role="status">{`${t.value.offline} ${last}`}</p>;
  if (failure.value) return <p class="trouble" role="status">{`${sentence(failure.value)} ${last}`}</p>;
  if (now?.journal.failure)
    return (
      <p class="trouble" role="status">
        {t.value.journalFailed(now.journal.failure)}
      </p>
    );
  if (now && !now.ready)
    return (
      <p class="trouble" role="status">
        {t.value.notReadyText}
      </p>
    );
  return null;
}

comeBack();
watch();
findNodes();
forgetOld();
followLinks(isOurs);
void ready.then(() => render(<Page />, document.getElementById("page") as HTMLElement));
