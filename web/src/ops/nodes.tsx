// The nodes that share the log: who has it, who stands by, and how each is.
import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ask, isRefusal, type Refusal, type Schemas } from "../base/api";
import { count } from "../base/language";
import { Heading, Loading } from "../base/ui";
import { Refused } from "./refusal";
import { t } from "./texts";
import { isIn, may } from "./who";

type Cluster = Schemas["ClusterDocument"];
type Member = Schemas["MemberDocument"];

const EVERY_MS = 2_000;

/** What the node that serves this page said last; null before, and for who may not ask. */
export const cluster = signal<Cluster | null>(null);
/** Why it said nothing the last time. */
const refused = signal<Refusal | null>(null);

/** Whether several nodes share the log, so that there is something to see. */
export const hasNodes = () => cluster.value !== null && cluster.value.mode !== "single";

async function read(): Promise<void> {
  const answer = await ask(api.GET("/api/v1/admin/cluster"));
  refused.value = isRefusal(answer) ? answer : null;
  // What is shown isn't taken away by a lost line.
  if (!isRefusal(answer)) cluster.value = answer;
}

/** Asks once for whoever comes, so that the way to the page is shown where there is one. */
export function findNodes(): void {
  effect(() => {
    if (isIn.value && may("administer")) void read();
    else cluster.value = null;
  });
}

export function NodesPage() {
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") void read();
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const now = cluster.value;
  return (
    <section class="nodes">
      <Heading title={`${t.value.nodes} · ${t.value.title}`}>{t.value.nodes}</Heading>
      {refused.value && <Refused refusal={refused.value} again={() => void read()} />}
      {now ? <Nodes now={now} /> : !refused.value && <Loading label={t.value.loading} />}
    </section>
  );
}

function Nodes(props: { now: Cluster }) {
  const { mode, me, owner, epoch, members } = props.now;
  if (mode === "single") return <p class="soft">{t.value.nodesAlone}</p>;
  return (
    <>
      <p class={owner === null ? "trouble" : "soft"}>{owner === null ? t.value.nobodyServes : t.value.nodesText(count(epoch))}</p>
      <table class="list">
        <thead>
          <tr>
            <th scope="col">{t.value.node}</th>
            <th scope="col">{t.value.nodeRole}</th>
            <th scope="col">{t.value.state}</th>
            <th scope="col">{t.value.nodeVersion}</th>
            <th scope="col">{t.value.nodeAddress}</th>
          </tr>
        </thead>
        <tbody>
          {members.map((member) => (
            <Line key={member.node} member={member} isAsked={member.node === me} />
          ))}
        </tbody>
      </table>
    </>
  );
}

function Line(props: { member: Member; isAsked: boolean }) {
  const { node, role, isAlive, isDraining, version, address } = props.member;
  const [look, words] = !isAlive
    ? ["cancelled", t.value.nodeSilent]
    : isDraining
      ? ["closed", t.value.nodeDraining]
      : ["active", t.value.nodeAlive];
  return (
    <tr>
      <th scope="row">
        {node} {props.isAsked && <span class="soft">{t.value.nodeAsked}</span>}
      </th>
      <td data-label={t.value.nodeRole}>{t.value.nodeRoles[role]}</td>
      <td data-label={t.value.state}>
        <span class={`status ${look}`}>{words}</span>
      </td>
      <td data-label={t.value.nodeVersion}>{version}</td>
      <td data-label={t.value.nodeAddress}>{address}</td>
    </tr>
  );
}
