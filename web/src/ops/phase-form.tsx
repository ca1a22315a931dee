// Changes of a sale's stages: a phase, or the general sale behind them. They stand in the schedule's policy, of which all else stays.
import { useSignal } from "@preact/signals";
import { isRefusal, type Refusal, type Schedule } from "../base/api";
import { Button, Dialog, Field } from "../base/ui";
import { MARK } from "../map/plan";
import { type Plan, replan } from "./acts";
import { idOf } from "./allotments";
import { CheckChoice, inputAt, instantOf, toWrong } from "./parts";
import type { Phase } from "./phases";
import { Refused } from "./refusal";
import type { Sale } from "./schedule";
import { t } from "./texts";

/** The most that the policy's numbers of seats can be. */
const USER_SEATS_MAX = 10_000;
const RESERVATION_SEATS_MAX = 100;

interface FormProps {
  sale: Sale;
  schedule: Schedule;
  onClose: () => void;
  onDone: (schedule: Schedule) => void;
}

/** What is typed into a form, and what of it is wrong. */
function reader(form: HTMLFormElement) {
  const fields = new FormData(form);
  const wrong: Record<string, string> = {};
  const text = (name: string) => String(fields.get(name) ?? "").trim();
  return {
    wrong,
    text,
    chosen: (name: string) => fields.getAll(name).map(String),
    /** A whole number from 1; null where none is typed. */
    whole(name: string, most: number): number | null {
      const given = text(name).replaceAll(",", "");
      if (/^\d+$/.test(given) && Number(given) >= 1 && Number(given) <= most) return Number(given);
      if (given !== "") wrong[name] = t.value.wholeFrom(most.toLocaleString("en"));
      return null;
    },
  };
}

/** Sends a change of the plan, unless what was typed is wrong. */
function useSending(props: FormProps) {
  const busy = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const wrong = useSignal<Record<string, string>>({});
  const send = async (change: (plan: Plan) => Plan, words: string) => {
    if (busy.value) return;
    busy.value = true;
    const answer = await replan(props.sale.scheduleId, change, words);
    busy.value = false;
    if (isRefusal(answer)) refusal.value = answer;
    else props.onDone(answer);
  };
  const isWrong = (form: HTMLFormElement, found: Record<string, string>) => {
    wrong.value = found;
    const names = Object.keys(found);
    if (names.length > 0) toWrong(form, names);
    return names.length > 0;
  };
  return { busy, refusal, wrong, send, isWrong };
}

/** A phase, or a new one. */
export function PhaseDialog(props: FormProps & { was: Phase | null }) {
  const { sale, schedule, was } = props;
  const { busy, refusal, wrong, send, isWrong } = useSending(props);
  const name = useSignal(was?.name ?? "");
  const id = useSignal<string | null>(null);
  const others = (plan: Plan) => (plan.policy?.phases ?? []).filter(({ phaseId }) => phaseId !== was?.phaseId);
  const withPhases = (plan: Plan, phases: Phase[]): Plan => ({ ...plan, policy: { ...plan.policy, phases } });

  const save = (event: Event) => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const read = reader(form);
    const phaseId = was?.phaseId ?? (id.value?.trim() || idOf(name.value));
    const opensAt = instantOf(read.text("opensAt"), was?.opensAt);
    const closesAt = instantOf(read.text("closesAt"), was?.closesAt);
    if (!name.value.trim()) read.wrong.name = t.value.nameMissing;
    if (!phaseId) read.wrong.id = t.value.idMissing;
    else if (!was && schedule.policy.phases?.some((own) => own.phaseId === phaseId)) read.wrong.id = t.value.phaseIdTaken;
    if (!opensAt) read.wrong.opensAt = t.value.instantMissing;
    if (!closesAt) read.wrong.closesAt = t.value.instantMissing;
    else if (opensAt && closesAt <= opensAt) read.wrong.closesAt = t.value.untilWrong;
    else if (schedule.salesOpenAt && Date.parse(closesAt) > Date.parse(schedule.salesOpenAt)) read.wrong.closesAt = t.value.phaseTooLate;
    const maxSeatsPerUser = read.whole("maxSeatsPerUser", USER_SEATS_MAX);
    if (isWrong(form, read.wrong) || !opensAt || !closesAt) return;

    const grades = read.chosen("grades");
    const phase: Phase = {
      phaseId,
      name: name.value.trim(),
      opensAt,
      closesAt,
      ...(grades.length > 0 ? { grades } : {}),
      ...(maxSeatsPerUser === null ? {} : { maxSeatsPerUser }),
    };
    void send((plan) => withPhases(plan, [...others(plan), phase]), t.value.did.setPhase(phase.name));
  };
  return (
    <Dialog title={was ? t.value.changePhase(was.name) : t.value.addPhase} closeLabel={t.value.close} onClose={props.onClose}>
      <form class="terms" onSubmit={save} noValidate>
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
            label={t.value.phaseId}
            name="id"
            autoComplete="off"
            spellcheck={false}
            maxLength={128}
            value={id.value ?? idOf(name.value)}
            onInput={(event) => (id.value = event.currentTarget.value)}
            hint={t.value.phaseIdHint}
            wrong={wrong.value.id}
          />
        )}
        <Field label={t.value.opens} name="opensAt" type="datetime-local" step={1} defaultValue={inputAt(was?.opensAt)} wrong={wrong.value.opensAt} />
        <Field label={t.value.closes} name="closesAt" type="datetime-local" step={1} defaultValue={inputAt(was?.closesAt)} wrong={wrong.value.closesAt} />
        <CheckChoice
          name="grades"
          label={t.value.gradesSold}
          hint={t.value.phaseGradesHint}
          options={sale.concert.grades.map(({ grade }) => [grade, grade])}
          chosen={was?.grades ?? []}
        />
        <Field
          label={t.value.seatsAUser}
          name="maxSeatsPerUser"
          inputMode="numeric"
          autoComplete="off"
          defaultValue={String(was?.maxSeatsPerUser ?? "")}
          hint={t.value.phaseSeatsHint(schedule.policy.maxSeatsPerUser ?? 4)}
          wrong={wrong.value.maxSeatsPerUser}
        />
        {refusal.value && <Refused refusal={refusal.value} />}
        <div class="actions">
          <Button type="submit" look="main" busy={busy.value} id="phase-sure">
            {t.value.saveIt}
          </Button>
          {was && (
            <Button look="danger" onClick={() => void send((plan) => withPhases(plan, others(plan)), t.value.did.dropPhase(was.name))} id="phase-drop">
              {t.value.dropPhase}
            </Button>
          )}
          <Button onClick={props.onClose}>{t.value.no}</Button>
        </div>
      </form>
    </Dialog>
  );
}

/** The general sale: when it opens and closes, and how many seats one may have. */
export function GeneralDialog(props: FormProps) {
  const { sale, schedule } = props;
  const { busy, refusal, wrong, send, isWrong } = useSending(props);
  const { policy } = schedule;
  const hasAccessible = sale.seats.plan.marks.some((marks) => (marks & (MARK.accessible | MARK.companion)) !== 0);

  const save = (event: Event) => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const read = reader(form);
    const salesOpenAt = instantOf(read.text("salesOpenAt"), schedule.salesOpenAt);
    const salesCloseAt = instantOf(read.text("salesCloseAt"), schedule.salesCloseAt);
    const accessibleReleaseAt = hasAccessible ? instantOf(read.text("accessibleReleaseAt"), policy.accessibleReleaseAt) : policy.accessibleReleaseAt;
    if (salesOpenAt && salesCloseAt && salesCloseAt <= salesOpenAt) read.wrong.salesCloseAt = t.value.untilWrong;
    const numbers = {
      maxSeatsPerUser: read.whole("maxSeatsPerUser", USER_SEATS_MAX),
      maxSeatsPerReservation: read.whole("maxSeatsPerReservation", RESERVATION_SEATS_MAX),
    };
    for (const [name, number] of Object.entries(numbers)) if (number === null) read.wrong[name] ??= t.value.numberMissing;
    if (isWrong(form, read.wrong)) return;

    const rules = { ...(numbers as Record<keyof typeof numbers, number>), accessibleReleaseAt: accessibleReleaseAt ?? null };
    const change = (plan: Plan): Plan => ({ ...plan, salesOpenAt, salesCloseAt, policy: { ...plan.policy, ...rules } });
    void send(change, t.value.did.setPhase(t.value.generalSale));
  };
  return (
    <Dialog title={t.value.changePhase(t.value.generalSale)} closeLabel={t.value.close} onClose={props.onClose}>
      <form class="terms" onSubmit={save} noValidate>
        <Field
          label={t.value.opens}
          name="salesOpenAt"
          type="datetime-local"
          step={1}
          defaultValue={inputAt(schedule.salesOpenAt)}
          hint={t.value.opensHint}
          wrong={wrong.value.salesOpenAt}
        />
        <Field
          label={t.value.closes}
          name="salesCloseAt"
          type="datetime-local"
          step={1}
          defaultValue={inputAt(schedule.salesCloseAt)}
          hint={t.value.closesHint}
          wrong={wrong.value.salesCloseAt}
        />
        <div class="pair">
          <Field
            label={t.value.seatsAUser}
            name="maxSeatsPerUser"
            inputMode="numeric"
            autoComplete="off"
            defaultValue={String(policy.maxSeatsPerUser)}
            wrong={wrong.value.maxSeatsPerUser}
          />
          <Field
            label={t.value.seatsAReservation}
            name="maxSeatsPerReservation"
            inputMode="numeric"
            autoComplete="off"
            defaultValue={String(policy.maxSeatsPerReservation)}
            wrong={wrong.value.maxSeatsPerReservation}
          />
        </div>
        {hasAccessible && (
          <Field
            label={t.value.accessibleFrom}
            name="accessibleReleaseAt"
            type="datetime-local"
            step={1}
            defaultValue={inputAt(policy.accessibleReleaseAt)}
            hint={t.value.accessibleFromHint}
          />
        )}
        {refusal.value && <Refused refusal={refusal.value} />}
        <div class="actions">
          <Button type="submit" look="main" busy={busy.value} id="phase-sure">
            {t.value.saveIt}
          </Button>
          <Button onClick={props.onClose}>{t.value.no}</Button>
        </div>
      </form>
    </Dialog>
  );
}
