// Where a sign-up's mail leads: the password once more, and one has an account.
import { useSignal } from "@preact/signals";
import { api, ask, isRefusal, type Refusal } from "../base/api";
import { go } from "../base/router";
import { Button, Field, Heading, Notice } from "../base/ui";
import { asFan } from "./fan";
import { Refused } from "./refusal";
import { t } from "./texts";

export function VerifyPage(props: { token: string }) {
  const refusal = useSignal<Refusal | null>(null);
  const busy = useSignal(false);
  const isDone = useSignal(false);
  const send = async (event: Event) => {
    event.preventDefault();
    const password = String(new FormData(event.target as HTMLFormElement).get("password") ?? "");
    busy.value = true;
    const answer = await ask(api.POST("/api/v1/verifications", { body: { token: props.token, password } }));
    busy.value = false;
    refusal.value = isRefusal(answer) ? answer : null;
    isDone.value = !isRefusal(answer);
  };
  const enter = () => asFan(() => go("/", { replace: true }));
  return (
    <div class="narrow">
      <Heading title={t.value.verifyTitle}>{t.value.verifyTitle}</Heading>
      {isDone.value ? (
        <Notice
          kind="good"
          actions={
            <Button look="main" onClick={enter}>
              {t.value.signIn}
            </Button>
          }
        >
          {t.value.verified}
        </Notice>
      ) : (
        <form onSubmit={send} noValidate>
          <p>{t.value.verifyText}</p>
          <Field label={t.value.password} name="password" type="password" autoComplete="current-password" required />
          {refusal.value && <Refused refusal={refusal.value} />}
          <Button type="submit" look="main" busy={busy.value}>
            {t.value.verify}
          </Button>
        </form>
      )}
    </div>
  );
}
