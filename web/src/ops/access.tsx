// Who may buy when: the phases of a sale, which an administrator changes here, and its codes.
import { useSignal } from "@preact/signals";
import type { Schedule } from "../base/api";
import { count, day, time } from "../base/language";
import { Button } from "../base/ui";
import { Codes } from "./codes";
import type { SaleStatus } from "./parts";
import { GeneralDialog, PhaseDialog } from "./phase-form";
import { nameOf, type Phase, phasesOf, stagesOf, until } from "./phases";
import type { Sale } from "./schedule";
import { t } from "./texts";
import { may } from "./who";

interface AccessProps {
  sale: Sale;
  schedule: Schedule;
  status: SaleStatus;
  onChange: (schedule: Schedule) => void;
}

export function AccessPart(props: AccessProps) {
  return (
    <>
      <Phases {...props} />
      {may("administer") ? <Codes sale={props.sale} schedule={props.schedule} /> : <p class="soft">{t.value.codesNeedRole}</p>}
    </>
  );
}

/** All phases and the general sale, with what each sells. */
function Phases(props: AccessProps) {
  const { sale, schedule, status } = props;
  const { zone } = sale;
  const asking = useSignal<{ phase: Phase | null } | "general" | null>(null);
  const mayChange = may("administer") && status !== "cancelled";
  const form = {
    sale,
    schedule,
    onClose: () => (asking.value = null),
    onDone(changed: Schedule) {
      asking.value = null;
      props.onChange(changed);
    },
  };
  const at = (instant: string | null) => (instant ? <time dateTime={instant}>{`${day(instant, zone)} ${time(instant, zone)}`}</time> : t.value.byHand);
  return (
    <section class="phases" aria-labelledby="phases">
      <div class="head">
        <h2 id="phases">{t.value.phases}</h2>
        {mayChange && (
          <Button id="add-phase" onClick={() => (asking.value = { phase: null })}>
            {t.value.addPhaseAsk}
          </Button>
        )}
      </div>
      <table class="list">
        <thead>
          <tr>
            <th scope="col">{t.value.phase}</th>
            <th scope="col">{t.value.state}</th>
            <th scope="col">{t.value.opens}</th>
            <th scope="col">{t.value.closes}</th>
            <th scope="col">{t.value.gradesSold}</th>
            <th scope="col" class="number">
              {t.value.seatsAUser}
            </th>
            {mayChange && (
              <th scope="col">
                <span class="unseen">{t.value.actsOf}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {stagesOf(schedule, status).map(({ stage, state }) => (
            <tr key={stage.phase?.phaseId ?? ""} class={`stage ${state}`}>
              <th scope="row">
                <b>{nameOf(stage)}</b> {stage.phase && <code class="id">{stage.phase.phaseId}</code>}
              </th>
              <td>
                <span class={`status ${state === "on" ? "open" : "upcoming"}`}>{t.value.stageState[state]}</span>{" "}
                {state === "on" && <span class="soft nowrap">{t.value.endsAt(until(stage.closesAt, zone))}</span>}
                {state === "next" && <span class="soft nowrap">{until(stage.opensAt as string, zone)}</span>}
              </td>
              <td class="nowrap" data-label={t.value.opens}>
                {at(stage.opensAt)}
              </td>
              <td class="nowrap" data-label={t.value.closes}>
                {at(stage.closesAt)}
              </td>
              <td data-label={t.value.gradesSold}>{stage.phase?.grades?.join(", ") ?? t.value.every}</td>
              <td class="number" data-label={t.value.seatsAUser}>
                {count(stage.phase?.maxSeatsPerUser ?? schedule.policy.maxSeatsPerUser)}
              </td>
              {mayChange && (
                <td class="row-acts">
                  <Button look="quiet" label={t.value.changePhase(nameOf(stage))} onClick={() => (asking.value = stage.phase ? { phase: stage.phase } : "general")}>
                    {t.value.changeIt}
                  </Button>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
      <p class="soft small">{phasesOf(schedule).length === 0 ? t.value.noPhases : t.value.phasesText}</p>
      {asking.value === "general" && <GeneralDialog {...form} />}
      {asking.value !== null && asking.value !== "general" && <PhaseDialog {...form} was={asking.value.phase} />}
    </section>
  );
}
