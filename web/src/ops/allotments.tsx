// Allotments: seats and places of areas that are set aside for somebody, made from what is chosen on the map, counted, changed, and released.
import { useSignal } from "@preact/signals";
import { api, ask, isRefusal, type Refusal, type Schemas } from "../base/api";
import { now, secondsUntil } from "../base/clock";
import { clock, count } from "../base/language";
import { Button, Dialog, Field } from "../base/ui";
import type { Plan } from "../map/plan";
import { type Allotment, releaseAllotment, setAllotment } from "./acts";
import { inputAt, instantOf, instantOfDay, toWrong } from "./parts";
import { Refused } from "./refusal";
import type { Sale } from "./schedule";
import { t } from "./texts";
import { may } from "./who";

/** Reads all allotments of a schedule: there are at most 256. */
export async function allotmentsOf(scheduleId: string): Promise<Allotment[] | Refusal> {
  const list = await ask(api.GET("/api/v1/schedules/{scheduleId}/allotments", { params: { path: { scheduleId }, query: { limit: 1000 } } }));
  return isRefusal(list) ? list : list.items;
}

/** Returns the allotment of each seat that has one. */
export function allottedSeats(plan: Plan, list: Allotment[]): ReadonlyMap<number, Allotment> {
  const seats = new Map<number, Allotment>();
  for (const allotment of list) {
    for (const id of allotment.seats) {
      const seat = plan.indexOf(id);
      if (seat !== undefined) seats.set(seat, allotment);
    }
  }
  return seats;
}

/** Changes an allotment as it stands at the server now: somebody else may have changed it meanwhile. */
export async function changeAllotment(
  scheduleId: string,
  allotmentId: string,
  change: (terms: Schemas["AllotmentPut"] & { seats: string[] }) => Schemas["AllotmentPut"],
  words: string,
): Promise<Allotment | Refusal> {
  const params = { path: { scheduleId, allotmentId } };
  const before = await ask(api.GET("/api/v1/schedules/{scheduleId}/allotments/{allotmentId}", { params }));
  if (isRefusal(before)) return before;
  const { allotmentId: _, areaCounts: _areas, total: _total, held: _held, sold: _sold, left: _left, ...terms } = before;
  return setAllotment(scheduleId, allotmentId, change(terms), words);
}

/** How many places of each area an allotment has, of all its areas. */
const sharesOf = (shares: ReadonlyMap<string, number>) =>
  [...shares].filter(([, count]) => count > 0).map(([areaId, count]) => ({ areaId, count }));

/** Makes an id of a name: what ids can't have becomes a dash. */
export const idOf = (name: string) =>
  name
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_.:-]+/gu, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 128);

/** What is wrong, by the field's name. */
type Wrong = Record<string, string>;

const shareField = (areaId: string) => `area-${areaId}`;

/** The most places of an area that are set aside. */
const SHARE_MAX = 100_000;

/**
 * Sets places aside: the chosen seats and places of areas, in an allotment of their own, or the seats with those of another. Or changes an
 * allotment, but for its seats, which the map changes.
 */
export function AllotDialog(props: {
  sale: Sale;
  list: Allotment[];
  seats: string[];
  was?: Allotment | null;
  onClose: () => void;
  onDone: () => void;
}) {
  const { sale, list, seats, was = null } = props;
  const { scheduleId, schedule } = sale;
  const areas = sale.seats.areas.value;
  const target = useSignal("");
  const name = useSignal(was?.name ?? "");
  const id = useSignal<string | null>(null);
  const shares = useSignal<ReadonlyMap<string, number>>(new Map((was?.areas ?? []).map(({ areaId, count }) => [areaId, count])));
  const busy = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const wrong = useSignal<Wrong>({});

  const send = async (event: Event) => {
    event.preventDefault();
    if (busy.value) return;
    const form = event.target as HTMLFormElement;
    const fields = new FormData(form);
    const text = (name: string) => String(fields.get(name) ?? "").trim();
    const reason = text("reason");
    const releaseAt = instantOf(text("releaseAt"), was?.releaseAt);
    const own = was?.allotmentId ?? (id.value?.trim() || idOf(name.value));
    const title = list.find(({ allotmentId }) => allotmentId === target.value)?.name ?? name.value.trim();
    const places = seats.length + [...shares.value.values()].reduce((sum, count) => sum + count, 0);
    if (target.value === "") {
      const isTaken = !was && list.some(({ allotmentId }) => allotmentId === own);
      const isLate = releaseAt && (Date.parse(releaseAt) <= now.value || Date.parse(releaseAt) > Date.parse(schedule.endsAt));
      const missing: Wrong = {
        ...(name.value.trim() ? {} : { name: t.value.nameMissing }),
        ...(own && !isTaken ? {} : { id: own ? t.value.idTaken : t.value.idMissing }),
        ...(reason ? {} : { reason: t.value.allotReasonMissing }),
        ...(isLate && releaseAt !== was?.releaseAt ? { releaseAt: t.value.releaseWrong } : {}),
        ...(places === 0 && !was?.seats.length && areas[0] ? { [shareField(areas[0].areaId)]: t.value.sharesMissing } : {}),
        ...Object.fromEntries(
          areas
            .filter(({ areaId }) => was && (shares.value.get(areaId) ?? 0) < goneOf(was, areaId))
            .map(({ areaId }) => [shareField(areaId), t.value.shareHint(goneOf(was as Allotment, areaId))]),
        ),
      };
      wrong.value = missing;
      if (Object.keys(missing).length > 0) return toWrong(form, Object.keys(missing));
    }

    busy.value = true;
    const terms = { name: title, reason, ...(releaseAt ? { releaseAt } : {}), areas: sharesOf(shares.value) };
    const words = t.value.did.allot(was ? "" : areas.length > 0 ? t.value.places(places) : t.value.seats(places), title);
    const answer = was
      ? await changeAllotment(scheduleId, own, (before) => ({ ...terms, seats: before.seats }), words)
      : target.value
        ? await changeAllotment(scheduleId, target.value, (before) => ({ ...before, seats: [...new Set([...before.seats, ...seats])] }), words)
        : await setAllotment(scheduleId, own, { ...terms, seats }, words);
    busy.value = false;
    if (isRefusal(answer)) refusal.value = answer;
    else props.onDone();
  };
  return (
    <Dialog title={was ? t.value.changeAllotment(was.name) : t.value.allotTitle(seats.length)} closeLabel={t.value.close} onClose={props.onClose}>
      <p>{t.value.allotText}</p>
      <form class="terms" onSubmit={(event) => void send(event)} noValidate>
        {!was && seats.length > 0 && list.length > 0 && (
          <div class="field">
            <label for="allot-target">{t.value.allotment}</label>
            <select id="allot-target" value={target.value} onChange={(event) => (target.value = event.currentTarget.value)}>
              <option value="">{t.value.newAllotment}</option>
              <AllotmentOptions list={list} />
            </select>
          </div>
        )}
        {target.value === "" && (
          <>
            <Field
              label={t.value.name}
              name="name"
              autoComplete="off"
              maxLength={200}
              value={name.value}
              onInput={(event) => (name.value = event.currentTarget.value)}
              wrong={wrong.value.name}
            />
            {!was && (
              <Field
                label={t.value.allotmentId}
                name="id"
                autoComplete="off"
                spellcheck={false}
                maxLength={128}
                value={id.value ?? idOf(name.value)}
                onInput={(event) => (id.value = event.currentTarget.value)}
                hint={t.value.allotmentIdHint}
                wrong={wrong.value.id}
              />
            )}
            <Field
              label={t.value.reason}
              name="reason"
              autoComplete="off"
              maxLength={1000}
              defaultValue={was?.reason ?? ""}
              hint={t.value.allotReasonHint}
              wrong={wrong.value.reason}
            />
            {areas.map(({ areaId, name, available }) => (
              <Field
                key={areaId}
                label={t.value.placesOf(name, available)}
                name={shareField(areaId)}
                type="number"
                min={0}
                max={SHARE_MAX}
                value={shares.value.get(areaId) ?? 0}
                onInput={(event) => {
                  const count = Math.trunc(Number(event.currentTarget.value)) || 0;
                  shares.value = new Map(shares.value).set(areaId, Math.max(0, Math.min(SHARE_MAX, count)));
                }}
                hint={was && goneOf(was, areaId) > 0 ? t.value.shareHint(goneOf(was, areaId)) : undefined}
                wrong={wrong.value[shareField(areaId)]}
              />
            ))}
            <Field
              label={t.value.releaseAt}
              name="releaseAt"
              type="datetime-local"
              step={1}
              defaultValue={inputAt(was?.releaseAt)}
              hint={t.value.releaseAtHint}
              wrong={wrong.value.releaseAt}
            />
          </>
        )}
        {refusal.value && <Refused refusal={refusal.value} />}
        <div class="actions">
          <Button type="submit" look="main" busy={busy.value} id="allot-sure">
            {was ? t.value.saveIt : t.value.allotYes}
          </Button>
          <Button onClick={props.onClose}>{t.value.no}</Button>
        </div>
      </form>
    </Dialog>
  );
}

/** How many places of an area somebody has out of an allotment: its share can't be less. */
function goneOf({ areaCounts = [] }: Allotment, areaId: string): number {
  const own = areaCounts.find((counts) => counts.areaId === areaId);
  return own ? own.held + own.sold : 0;
}

/** Beyond a day the instant says enough. */
const COUNTED_SECONDS = 86_400;

/** The allotments with their counts. */
export function Allotments(props: { sale: Sale; list: Allotment[] | Refusal; again: () => void; onShow: (allotment: Allotment) => void }) {
  const { sale, list } = props;
  const asking = useSignal<{ act: "release" | "change"; allotment: Allotment } | { act: "make" } | null>(null);
  const areas = sale.seats.areas.value;
  const done = () => {
    asking.value = null;
    props.again();
  };
  return (
    <section class="allotments" aria-labelledby="allotments">
      <div class="head">
        <h2 id="allotments">{t.value.allotments}</h2>
        {may("run") && areas.length > 0 && !isRefusal(list) && (
          <Button id="allot-places" onClick={() => (asking.value = { act: "make" })}>
            {t.value.allotPlaces}
          </Button>
        )}
      </div>
      {isRefusal(list) ? (
        <Refused refusal={list} again={props.again} />
      ) : list.length === 0 ? (
        <p class="soft small">{t.value.noAllotments(sale.seats.plan.count > 0)}</p>
      ) : (
        <table class="list">
          <thead>
            <tr>
              <th scope="col">{t.value.allotment}</th>
              {(["total", "left", "held", "sold"] as const).map((name) => (
                <th scope="col" class="number" key={name}>
                  {t.value.allotmentCounts[name]}
                </th>
              ))}
              <th scope="col">{t.value.releases}</th>
              <th scope="col">
                <span class="unseen">{t.value.actsOf}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {list.map((allotment) => (
              <tr key={allotment.allotmentId}>
                <th scope="row">
                  <b>{allotment.name}</b> <code class="id">{allotment.allotmentId}</code>
                  {allotment.reason && <span class="soft small reason">{allotment.reason}</span>}
                  {(allotment.areaCounts ?? []).map(({ areaId, ...counts }) => (
                    <span key={areaId} class="small reason">
                      {t.value.shareOf(areas.find((area) => area.areaId === areaId)?.name ?? areaId, counts)}
                    </span>
                  ))}
                </th>
                {(["total", "left", "held", "sold"] as const).map((name) => (
                  <td class="number" key={name} data-label={t.value.allotmentCounts[name]}>
                    {count(allotment[name])}
                  </td>
                ))}
                <td data-label={t.value.releases}>
                  <Release at={allotment.releaseAt ?? null} />
                </td>
                <td class="row-acts">
                  {allotment.seats.length > 0 && (
                    <Button look="quiet" label={t.value.showAllotment(allotment.name)} onClick={() => props.onShow(allotment)}>
                      {t.value.showIt}
                    </Button>
                  )}
                  {may("run") && (
                    <>
                      <Button look="quiet" label={t.value.changeAllotment(allotment.name)} onClick={() => (asking.value = { act: "change", allotment })}>
                        {t.value.changeIt}
                      </Button>
                      <Button look="quiet" label={t.value.releaseAllotment(allotment.name)} onClick={() => (asking.value = { act: "release", allotment })}>
                        {t.value.releaseIt}
                      </Button>
                    </>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {asking.value?.act === "release" && (
        <ReleaseDialog sale={sale} allotment={asking.value.allotment} onClose={() => (asking.value = null)} onDone={done} />
      )}
      {(asking.value?.act === "make" || asking.value?.act === "change") && !isRefusal(list) && (
        <AllotDialog
          sale={sale}
          list={list}
          seats={[]}
          was={asking.value.act === "change" ? asking.value.allotment : null}
          onClose={() => (asking.value = null)}
          onDone={done}
        />
      )}
    </section>
  );
}

function Release(props: { at: string | null }) {
  const { at } = props;
  if (at === null) return <span class="soft">{t.value.byHand}</span>;
  const seconds = secondsUntil(at);
  return (
    <time dateTime={at}>
      {instantOfDay(at).slice(0, -4)} {seconds < COUNTED_SECONDS && <span class="soft">{t.value.inTime(clock(seconds))}</span>}
    </time>
  );
}

function ReleaseDialog(props: { sale: Sale; allotment: Allotment; onClose: () => void; onDone: () => void }) {
  const { allotment } = props;
  const busy = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const send = async () => {
    busy.value = true;
    const answer = await releaseAllotment(props.sale.scheduleId, allotment);
    busy.value = false;
    if (isRefusal(answer)) refusal.value = answer;
    else props.onDone();
  };
  const wordOf = allotment.areas?.length ? t.value.places : t.value.seats;
  return (
    <Dialog title={t.value.askRelease(allotment.name)} closeLabel={t.value.close} onClose={props.onClose}>
      <p>{t.value.releaseText(allotment.left, allotment.held + allotment.sold, wordOf)}</p>
      {refusal.value && <Refused refusal={refusal.value} />}
      <div class="actions">
        <Button look="main" busy={busy.value} onClick={() => void send()} id="release-sure">
          {t.value.releaseYes}
        </Button>
        <Button onClick={props.onClose}>{t.value.no}</Button>
      </div>
    </Dialog>
  );
}

/** Allotments to choose from, each with what is left of it. */
export function AllotmentOptions({ list }: { list: Allotment[] }) {
  return (
    <>
      {list.map(({ allotmentId, name, left }) => (
        <option key={allotmentId} value={allotmentId}>
          {t.value.allotmentLeft(name, left)}
        </option>
      ))}
    </>
  );
}
