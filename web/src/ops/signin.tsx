// The door: a token is pasted, or, in the demonstration, one click.
import { useSignal } from "@preact/signals";
import { document as documentOf, isRefusal, type PageSettings, type Refusal } from "../base/api";
import { useLoaded } from "../base/load";
import { Button, Field, Heading, Notice } from "../base/ui";
import { Refused } from "./refusal";
import { t } from "./texts";
import { isTokenOver, signIn } from "./who";

export function SignInPage() {
  const refusal = useSignal<Refusal | null>(null);
  const busy = useSignal<"" | "token" | "demo">("");
  const { value: settings } = useLoaded<PageSettings>(() => documentOf("/pages.json"), []);
  const isDemo = settings.value !== null && !isRefusal(settings.value) && settings.value.demoOperators;

  const send = async (event: Event) => {
    event.preventDefault();
    const token = String(new FormData(event.target as HTMLFormElement).get("token") ?? "");
    busy.value = "token";
    refusal.value = await signIn(token);
    busy.value = "";
  };
  const sendDemo = async () => {
    busy.value = "demo";
    const answer = await documentOf<{ accessToken: string }>("/demo/sessions", { role: "admin" });
    refusal.value = isRefusal(answer) ? answer : await signIn(answer.accessToken);
    busy.value = "";
  };

  return (
    <div class="door">
      <Heading title={t.value.title}>{t.value.title}</Heading>
      {isDemo && (
        <div class="door-demo">
          <p class="soft small">{t.value.demoHint}</p>
          <Button look="main" onClick={sendDemo} busy={busy.value === "demo"} id="demo-operator">
            {t.value.demoSignIn}
          </Button>
        </div>
      )}
      <p class="soft">{t.value.doorText}</p>
      {isTokenOver.value && !refusal.value && <Notice kind="note">{t.value.tokenOver}</Notice>}
      <form onSubmit={send} noValidate>
        <Field label={t.value.token} name="token" type="password" autoComplete="off" spellcheck={false} required hint={t.value.tokenHint} />
        {refusal.value && <Refused refusal={refusal.value} />}
        <Button type="submit" look={isDemo ? "plain" : "main"} busy={busy.value === "token"} id="sign-in">
          {t.value.signIn}
        </Button>
      </form>
      <section aria-labelledby="how">
        <h2 id="how">{t.value.howToken}</h2>
        <p>{t.value.howTokenText}</p>
        <pre class="scroll" tabIndex={0}>
          <code>onsale token --user ann --role operator</code>
        </pre>
        <dl class="roles">
          {(["operator", "auditor", "box_office", "admin"] as const).map((role) => (
            <div key={role}>
              <dt>{role}</dt>
              <dd>{t.value.roleText[role]}</dd>
            </div>
          ))}
        </dl>
        <p class="soft small">{t.value.adminTokenText}</p>
      </section>
    </div>
  );
}
