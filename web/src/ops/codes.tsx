// The codes of a sale: what each opens and takes off, how often it was used; one defined, many generated, one ended.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ask, isRefusal, type Refusal, type Schedule } from "../base/api";
import { count, money } from "../base/language";
import { Button, Dialog, Field, Loading, Notice } from "../base/ui";
import { type Allotment, type Code, type CodeTerms, endCode, makeCodes, putCode } from "./acts";
import { allotmentsOf } from "./allotments";
import { csv, download } from "./download";
import { CheckChoice, inputAt, instantOf, instantOfDay, toWrong } from "./parts";
import { phasesOf } from "./phases";
import { Refused } from "./refusal";
import type { Sale } from "./schedule";
import { t } from "./texts";

/** The codes of a page of the list, and of one request when all are read. */
const PAGE = 100;
const LARGE_PAGE = 1_000;

interface Listed {
  items: Code[];
  next: string | null;
}

async function pageOf(scheduleId: string, limit: number, cursor: string | null): Promise<Listed | Refusal> {
  const query = { limit, ...(cursor ? { cursor } : {}) };
  const page = await ask(api.GET("/api/v1/schedules/{scheduleId}/codes", { params: { path: { scheduleId }, query } }));
  return isRefusal(page) ? page : { items: page.items, next: page.nextCursor ?? null };
}

/** What a code takes off each seat. */
function discountOf({ discount }: CodeTerms, currency: string): string | null {
  if (!discount) return null;
  return typeof discount.percent === "number" ? `${discount.percent} %` : money(discount.amountPerSeat ?? 0, currency);
}

const COLUMNS = ["code", "phases", "allotmentId", "discount", "grades", "priceTypes", "maxUses", "used", "maxSeats", "seats", "validFrom", "validUntil"];

/** Codes as a table for a spreadsheet; names and instants are the API's. */
function tableOf(codes: Code[]): string {
  const row = (code: Code) => [
    code.code,
    code.phases?.join(" "),
    code.allotmentId,
    code.discount?.percent != null ? `${code.discount.percent}%` : code.discount?.amountPerSeat,
    code.grades?.join(" "),
    code.priceTypes?.join(" "),
    code.maxUses,
    code.used,
    code.maxSeats,
    code.seats,
    code.validFrom,
    code.validUntil,
  ];
  return csv([COLUMNS, ...codes.map(row)]);
}

type Asking = { act: "put"; was: Code | null } | { act: "make" } | { act: "end"; code: Code };

export function Codes(props: { sale: Sale; schedule: Schedule }) {
  const { sale, schedule } = props;
  const { scheduleId } = sale;
  const list = useSignal<Listed | Refusal | null>(null);
  const found = useSignal<Code | Refusal | null>(null);
  const wanted = useSignal("");
  const busy = useSignal<"" | "more" | "find" | "all">("");
  const made = useSignal<string[] | null>(null);
  const asking = useSignal<Asking | null>(null);
  const allotments = useSignal<Allotment[]>([]);
  const counted = useSignal(0);

  const reload = async () => {
    list.value = await pageOf(scheduleId, PAGE, null);
    if (wanted.value) await find(wanted.value);
  };
  const find = async (code: string) => {
    busy.value = "find";
    found.value = code ? await ask(api.GET("/api/v1/schedules/{scheduleId}/codes/{code}", { params: { path: { scheduleId, code } } })) : null;
    busy.value = "";
  };
  useEffect(() => {
    void reload();
    void allotmentsOf(scheduleId).then((answer) => {
      if (!isRefusal(answer)) allotments.value = answer;
    });
  }, [scheduleId]);

  const more = async () => {
    const before = list.value;
    if (before === null || isRefusal(before) || busy.value) return;
    busy.value = "more";
    const page = await pageOf(scheduleId, LARGE_PAGE, before.next);
    busy.value = "";
    if (isRefusal(page)) list.value = page;
    else list.value = { items: [...before.items, ...page.items], next: page.next };
  };
  const saveAll = async () => {
    busy.value = "all";
    const codes: Code[] = [];
    let cursor: string | null = null;
    do {
      const page: Listed | Refusal = await pageOf(scheduleId, LARGE_PAGE, cursor);
      if (isRefusal(page)) {
        list.value = page;
        break;
      }
      codes.push(...page.items);
      counted.value = codes.length;
      cursor = page.next;
      if (cursor === null) download(`codes-${scheduleId}.csv`, "text/csv", tableOf(codes));
    } while (cursor);
    busy.value = "";
  };
  const send = (event: Event) => {
    event.preventDefault();
    wanted.value = String(new FormData(event.target as HTMLFormElement).get("code") ?? "").trim();
    void find(wanted.value);
  };

  const now = list.value;
  const shown = found.value === null ? now : isRefusal(found.value) ? null : { items: [found.value], next: null };
  const names = new Map(phasesOf(schedule).map(({ phaseId, name }) => [phaseId, name]));
  return (
    <section class="codes" aria-labelledby="codes">
      <div class="head">
        <h2 id="codes">{t.value.codes}</h2>
        <div class="actions">
          <Button id="put-code" onClick={() => (asking.value = { act: "put", was: null })}>
            {t.value.putCode}
          </Button>
          <Button id="make-codes" onClick={() => (asking.value = { act: "make" })}>
            {t.value.makeCodes}
          </Button>
        </div>
      </div>
      {made.value && <Made scheduleId={scheduleId} made={made as Signal<string[]>} onClose={() => (made.value = null)} />}
      <div class="code-tools">
        <form class="code-find" onSubmit={send} role="search">
          <Field label={t.value.codeWanted} name="code" autoComplete="off" spellcheck={false} />
          <Button type="submit" id="find-code" busy={busy.value === "find"}>
            {t.value.find}
          </Button>
        </form>
        <Button onClick={() => void reload()}>{t.value.again}</Button>
        <Button id="save-codes" busy={busy.value === "all"} onClick={() => void saveAll()}>
          {busy.value === "all" ? t.value.readingCodes(count(counted.value)) : t.value.saveCodes}
        </Button>
      </div>
      {found.value !== null && isRefusal(found.value) && <Refused refusal={found.value} />}
      {now === null && <Loading label={t.value.loading} />}
      {now !== null && isRefusal(now) && <Refused refusal={now} again={() => void reload()} />}
      {shown !== null && !isRefusal(shown) && (
        <>
          {shown.items.length === 0 ? (
            <p class="empty">{t.value.noCodes}</p>
          ) : (
            <CodeTable sale={sale} items={shown.items} phaseNames={names} allotments={allotments.value} onAsk={(next) => (asking.value = next)} />
          )}
          {shown.next && (
            <div class="actions">
              <Button busy={busy.value === "more"} onClick={() => void more()}>
                {t.value.showMore}
              </Button>
            </div>
          )}
        </>
      )}
      {asking.value?.act === "end" && (
        <EndDialog
          scheduleId={scheduleId}
          code={asking.value.code}
          onClose={(isDone) => {
            asking.value = null;
            if (isDone) void reload();
          }}
        />
      )}
      {(asking.value?.act === "put" || asking.value?.act === "make") && (
        <CodeDialog
          sale={sale}
          schedule={schedule}
          allotments={allotments.value}
          was={asking.value.act === "put" ? asking.value.was : null}
          isMany={asking.value.act === "make"}
          onClose={() => (asking.value = null)}
          onDone={(codes) => {
            asking.value = null;
            if (codes) made.value = codes;
            void reload();
          }}
        />
      )}
    </section>
  );
}

/** The codes that were just generated, to be taken along. */
function Made(props: { scheduleId: string; made: Signal<string[]>; onClose: () => void }) {
  const codes = props.made.value;
  // What was drawn are the last three groups.
  const prefix = codes[0]?.replace(/-?[^-]+-[^-]+-[^-]+$/, "");
  const name = `codes-${props.scheduleId}-${prefix || "new"}`;
  return (
    <Notice
      kind="good"
      actions={
        <>
          <Button id="made-csv" look="main" onClick={() => download(`${name}.csv`, "text/csv", csv([["code"], ...codes.map((code) => [code])]))}>
            {t.value.asCsv}
          </Button>
          <Button id="made-text" onClick={() => download(`${name}.txt`, "text/plain", codes.map((code) => `${code}\n`).join(""))}>
            {t.value.asText}
          </Button>
          <Button look="quiet" onClick={props.onClose}>
            {t.value.close}
          </Button>
        </>
      }
    >
      <p id="made">
        <b>{t.value.did.makeCodes(codes.length)}</b> {t.value.madeText} <code>{codes[0]}</code>
        {codes.length > 1 && ", …"}
      </p>
    </Notice>
  );
}

function CodeTable(props: {
  sale: Sale;
  items: Code[];
  phaseNames: ReadonlyMap<string, string>;
  allotments: Allotment[];
  onAsk: (asking: Asking) => void;
}) {
  const { currency } = props.sale.schedule;
  const typeNames = new Map((props.sale.concert.priceTypes ?? []).map(({ priceType, name }) => [priceType, name]));
  const ofMost = (number: number, most: number | null | undefined) => (
    <>
      {count(number)} <span class="soft">{most == null ? "" : t.value.ofMost(count(most))}</span>
    </>
  );
  return (
    <table class="list code-list">
      <caption class="unseen">{t.value.codes}</caption>
      <thead>
        <tr>
          <th scope="col">{t.value.code}</th>
          <th scope="col">{t.value.codeFor}</th>
          <th scope="col" class="number">
            {t.value.takesOff}
          </th>
          <th scope="col" class="number">
            {t.value.used}
          </th>
          <th scope="col" class="number">
            {t.value.seatsWord}
          </th>
          <th scope="col">{t.value.validity}</th>
          <th scope="col">
            <span class="unseen">{t.value.actsOf}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {props.items.map((code) => {
          const isUsedUp = (code.maxUses != null && code.used >= code.maxUses) || (code.maxSeats != null && code.seats >= code.maxSeats);
          const phases = (code.phases ?? []).map((phase) => props.phaseNames.get(phase) ?? phase);
          const allotment = props.allotments.find(({ allotmentId }) => allotmentId === code.allotmentId)?.name ?? code.allotmentId;
          const types = (code.priceTypes ?? []).map((type) => typeNames.get(type) ?? type);
          const goals = [
            ...(phases.length > 0 ? phases : [t.value.generalSale]),
            ...(allotment ? [t.value.outOf(allotment)] : []),
            ...(code.grades ?? []),
            ...types,
          ];
          return (
            <tr key={code.code}>
              <th scope="row">
                <code>{code.code}</code> {isUsedUp && <span class="status closed">{t.value.usedUp}</span>}
              </th>
              <td>{goals.join(" · ")}</td>
              <td class="number" data-label={t.value.takesOff}>
                {discountOf(code, currency) ?? "–"}
              </td>
              <td class="number" data-label={t.value.used}>
                {ofMost(code.used, code.maxUses)}
              </td>
              <td class="number" data-label={t.value.seatsWord}>
                {ofMost(code.seats, code.maxSeats)}
              </td>
              <td data-label={code.validFrom || code.validUntil ? t.value.validity : undefined}>
                {(code.validFrom || code.validUntil) && (
                  <span class="small">
                    {code.validFrom && instantOfDay(code.validFrom).slice(0, -4)} – {code.validUntil && instantOfDay(code.validUntil).slice(0, -4)}
                  </span>
                )}
              </td>
              <td class="row-acts">
                <Button look="quiet" label={t.value.changeCode(code.code)} onClick={() => props.onAsk({ act: "put", was: code })}>
                  {t.value.changeIt}
                </Button>
                <Button look="quiet" label={t.value.endCode(code.code)} onClick={() => props.onAsk({ act: "end", code })}>
                  {t.value.endIt}
                </Button>
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function EndDialog(props: { scheduleId: string; code: Code; onClose: (isDone: boolean) => void }) {
  const { code } = props.code;
  const busy = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const send = async () => {
    busy.value = true;
    const answer = await endCode(props.scheduleId, code);
    busy.value = false;
    if (isRefusal(answer)) refusal.value = answer;
    else props.onClose(true);
  };
  return (
    <Dialog title={t.value.askEndCode} closeLabel={t.value.close} onClose={() => props.onClose(false)}>
      <p>
        <code>{code}</code>
      </p>
      <p>{t.value.endCodeText(props.code.used)}</p>
      {refusal.value && <Refused refusal={refusal.value} />}
      <div class="actions">
        <Button look="danger" busy={busy.value} onClick={() => void send()} id="end-sure">
          {t.value.endCodeYes}
        </Button>
        <Button onClick={() => props.onClose(false)}>{t.value.no}</Button>
      </div>
    </Dialog>
  );
}

/** The most that a limit of a code can be. */
const LIMIT_MAX = 4_294_967_295;
const BATCH_MAX = 10_000;

type Wrong = Partial<Record<"code" | "count" | "discount" | "maxUses" | "maxSeats" | "validUntil", string>>;

/** A code's terms, of one or of many. */
function CodeDialog(props: {
  sale: Sale;
  schedule: Schedule;
  allotments: Allotment[];
  was: Code | null;
  isMany: boolean;
  onClose: () => void;
  onDone: (codes: string[] | null) => void;
}) {
  const { sale, schedule, allotments, was, isMany } = props;
  const { scheduleId } = sale;
  const kind = useSignal<"" | "percent" | "amount">(was?.discount ? (was.discount.percent != null ? "percent" : "amount") : "");
  const busy = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const wrong = useSignal<Wrong>({});
  // What the code names and the sale hasn't any more can be kept, or taken out: it doesn't go by itself.
  const withOwn = (known: [string, string][], own: string[] | null | undefined): [string, string][] => {
    const lost = (own ?? []).filter((id) => !known.some(([name]) => name === id));
    return [...known, ...lost.map((id): [string, string] => [id, id])];
  };
  const phases = withOwn(
    phasesOf(schedule).map(({ phaseId, name }) => [phaseId, name]),
    was?.phases,
  );
  const types = withOwn(
    (sale.concert.priceTypes ?? []).map(({ priceType, name }) => [priceType, name]),
    was?.priceTypes,
  );
  const grades = sale.concert.grades.map(({ grade }): [string, string] => [grade, grade]);
  const isLost = was?.allotmentId && !allotments.some(({ allotmentId }) => allotmentId === was.allotmentId);

  const send = async (event: Event) => {
    event.preventDefault();
    if (busy.value) return;
    const form = event.target as HTMLFormElement;
    const fields = new FormData(form);
    const text = (name: string) => String(fields.get(name) ?? "").trim();
    const missing: Wrong = {};
    const whole = (name: "count" | "discount" | "maxUses" | "maxSeats", most: number) => {
      const given = text(name).replaceAll(",", "");
      if (/^\d+$/.test(given) && Number(given) >= 1 && Number(given) <= most) return Number(given);
      if (given !== "" || name === "count" || name === "discount") missing[name] = t.value.wholeFrom(count(most));
      return null;
    };
    const chosen = (name: string) => fields.getAll(name).map(String);
    const [maxUses, maxSeats] = [whole("maxUses", LIMIT_MAX), whole("maxSeats", LIMIT_MAX)];
    const [validFrom, validUntil] = [instantOf(text("validFrom"), was?.validFrom), instantOf(text("validUntil"), was?.validUntil)];
    if (validFrom && validUntil && validUntil <= validFrom) missing.validUntil = t.value.untilWrong;
    const discount =
      kind.value === ""
        ? null
        : kind.value === "percent"
          ? { percent: whole("discount", 100) ?? 0 }
          : { amountPerSeat: whole("discount", 1_000_000_000_000) ?? 0 };
    const terms: CodeTerms = {
      ...(chosen("phases").length > 0 ? { phases: chosen("phases") } : {}),
      ...(text("allotmentId") ? { allotmentId: text("allotmentId") } : {}),
      ...(discount ? { discount } : {}),
      ...(chosen("grades").length > 0 ? { grades: chosen("grades") } : {}),
      ...(chosen("priceTypes").length > 0 ? { priceTypes: chosen("priceTypes") } : {}),
      ...(maxUses === null ? {} : { maxUses }),
      ...(maxSeats === null ? {} : { maxSeats }),
      ...(validFrom ? { validFrom } : {}),
      ...(validUntil ? { validUntil } : {}),
    };
    const number = isMany ? whole("count", BATCH_MAX) : null;
    const code = was?.code ?? text("code");
    if (!isMany && !/^[\p{L}\p{N}-]{4,64}$/u.test(code)) missing.code = t.value.codeWrong;
    wrong.value = missing;
    if (Object.keys(missing).length > 0) return toWrong(form, Object.keys(missing));

    busy.value = true;
    const prefix = text("prefix");
    const answer = isMany
      ? await makeCodes(scheduleId, { count: number ?? 0, ...(prefix ? { prefix } : {}), ...terms })
      : await putCode(scheduleId, code, terms);
    busy.value = false;
    if (isRefusal(answer)) refusal.value = answer;
    else props.onDone(Array.isArray(answer) ? answer : null);
  };
  return (
    <Dialog title={isMany ? t.value.makeCodesTitle : was ? t.value.changeCode(was.code) : t.value.putCodeTitle} closeLabel={t.value.close} onClose={props.onClose}>
      <form class="terms" onSubmit={(event) => void send(event)} noValidate>
        {isMany ? (
          <div class="pair">
            <Field label={t.value.howManyCodes} name="count" inputMode="numeric" autoComplete="off" defaultValue="100" wrong={wrong.value.count} />
            <Field label={t.value.prefix} name="prefix" maxLength={40} autoComplete="off" spellcheck={false} hint={t.value.prefixHint} />
          </div>
        ) : (
          !was && (
            <Field label={t.value.code} name="code" maxLength={64} autoComplete="off" spellcheck={false} hint={t.value.codeHint} wrong={wrong.value.code} />
          )
        )}
        {phases.length > 0 && (
          <CheckChoice name="phases" label={t.value.phases} hint={t.value.codePhasesHint} options={phases} chosen={was?.phases ?? []} />
        )}
        {(allotments.length > 0 || isLost) && (
          <div class="field">
            <label for="code-allotment">{t.value.allotment}</label>
            <select id="code-allotment" name="allotmentId" defaultValue={was?.allotmentId ?? ""}>
              <option value="">{t.value.noAllotment}</option>
              {isLost && (
                <option value={was.allotmentId as string} selected>
                  {was.allotmentId}
                </option>
              )}
              {allotments.map(({ allotmentId, name, left }) => (
                <option key={allotmentId} value={allotmentId} selected={allotmentId === was?.allotmentId}>
                  {t.value.allotmentLeft(name, left)}
                </option>
              ))}
            </select>
          </div>
        )}
        <div class="pair">
          <div class="field">
            <label for="discount-kind">{t.value.takesOff}</label>
            <select
              id="discount-kind"
              value={kind.value}
              onChange={(event) => (kind.value = (event.target as HTMLSelectElement).value as typeof kind.value)}
            >
              <option value="">{t.value.nothingOff}</option>
              <option value="percent">{t.value.percentOff}</option>
              <option value="amount">{t.value.amountOff}</option>
            </select>
          </div>
          {kind.value !== "" && (
            <Field
              label={kind.value === "percent" ? t.value.percentOff : t.value.amountOff}
              name="discount"
              inputMode="numeric"
              autoComplete="off"
              defaultValue={String(was?.discount?.percent ?? was?.discount?.amountPerSeat ?? "")}
              hint={kind.value === "amount" ? t.value.minorHint(money(10_000, schedule.currency)) : undefined}
              wrong={wrong.value.discount}
            />
          )}
        </div>
        <CheckChoice
          name="grades"
          label={t.value.gradesSold}
          hint={t.value.codeGradesHint}
          options={withOwn(grades, was?.grades)}
          chosen={was?.grades ?? []}
        />
        {types.length > 0 && (
          <CheckChoice name="priceTypes" label={t.value.priceTypes} hint={t.value.codeTypesHint} options={types} chosen={was?.priceTypes ?? []} />
        )}
        <div class="pair">
          <Field
            label={t.value.maxUses}
            name="maxUses"
            inputMode="numeric"
            autoComplete="off"
            defaultValue={String(was?.maxUses ?? (isMany ? 1 : ""))}
            hint={isMany ? t.value.maxUsesManyHint : t.value.noLimitHint}
            wrong={wrong.value.maxUses}
          />
          <Field
            label={t.value.maxSeats}
            name="maxSeats"
            inputMode="numeric"
            autoComplete="off"
            defaultValue={String(was?.maxSeats ?? "")}
            hint={t.value.noLimitHint}
            wrong={wrong.value.maxSeats}
          />
        </div>
        <Field label={t.value.validFrom} name="validFrom" type="datetime-local" step={1} defaultValue={inputAt(was?.validFrom)} />
        <Field
          label={t.value.validUntil}
          name="validUntil"
          type="datetime-local"
          step={1}
          defaultValue={inputAt(was?.validUntil)}
          wrong={wrong.value.validUntil}
        />
        {refusal.value && <Refused refusal={refusal.value} />}
        <div class="actions">
          <Button type="submit" look="main" busy={busy.value} id="code-sure">
            {isMany ? t.value.makeThem : t.value.saveIt}
          </Button>
          <Button onClick={props.onClose}>{t.value.no}</Button>
        </div>
      </form>
    </Dialog>
  );
}

