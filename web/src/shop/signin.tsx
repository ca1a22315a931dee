// Signing up and in, by an account or by the demonstration's one click.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api, ask, document as documentOf, isRefusal, type Refusal } from "../base/api";
import { announce } from "../base/live";
import { useLoaded } from "../base/load";
import { become } from "../base/session";
import { Button, Field, Notice } from "../base/ui";
import { settings } from "./data";
import { isNew, waiting } from "./fan";
import { sentence } from "./refusal";
import { t } from "./texts";

interface Came {
  accessToken: string;
  expiresAt: string;
  userId: string;
}

function welcome(who: Came, name: string): void {
  become({ accessToken: who.accessToken, expiresAt: who.expiresAt, userId: who.userId, name });
  announce(t.value.welcome(name));
  const then = waiting.value?.then;
  waiting.value = null;
  then?.();
}

export function SignInForms() {
  const wrong = useSignal<Refusal | "mail" | null>(null);
  const busy = useSignal<"" | "demo" | "form">("");
  const fields = useSignal<Record<string, string>>({});
  const told = useLoaded(settings, []).value.value;
  const place = useRef<HTMLDivElement>(null);
  // They came after the dialog: the focus goes to what it is for.
  useEffect(() => place.current?.querySelector<HTMLElement>("button, input")?.focus(), [told]);
  if (told === null || isRefusal(told)) return null;

  const demo = async () => {
    busy.value = "demo";
    const answer = await documentOf<Came>("/demo/sessions", { role: "user" });
    busy.value = "";
    if (isRefusal(answer)) wrong.value = answer;
    else welcome(answer, t.value.demoName(answer.userId.slice(-4)));
  };

  const send = async (event: Event) => {
    event.preventDefault();
    if (busy.value) return;
    const form = new FormData(event.target as HTMLFormElement);
    const [email, name, password] = ["email", "name", "password"].map((field) => String(form.get(field) ?? "")) as [
      string,
      string,
      string,
    ];
    const marks: Record<string, string> = {};
    // In the order of the form: the first that is wrong gets the focus.
    if (isNew.value && name.trim() === "") marks.name = t.value.nameWrong;
    if (!/^\S+@\S+$/.test(email)) marks.email = t.value.emailWrong;
    if (isNew.value ? password.length < 10 : password === "")
      marks.password = isNew.value ? t.value.passwordShort : t.value.passwordMissing;
    fields.value = marks;
    wrong.value = null;
    const first = Object.keys(marks)[0];
    if (first) return ((event.target as HTMLFormElement).elements.namedItem(first) as HTMLElement).focus();

    busy.value = "form";
    const done = isNew.value ? await signUp(email, name.trim(), password) : await enter(email, password);
    busy.value = "";
    if (done === "mail" || isRefusal(done)) {
      wrong.value = done;
      announce(done === "mail" ? t.value.mailSent : sentence(done));
    }
  };

  return (
    <div class="signing-in" ref={place}>
      {told.demoFans && (
        <div class="demo-fan">
          <Button look="main" onClick={demo} busy={busy.value === "demo"}>
            {t.value.beFan}
          </Button>
          <p class="soft small">{t.value.beFanHint}</p>
        </div>
      )}
      {told.signsIn && (
        <form onSubmit={send} noValidate>
          {told.demoFans && <p class="or">{t.value.orAccount}</p>}
          {wrong.value === "mail" && <Notice kind="good">{t.value.mailSent}</Notice>}
          {isRefusal(wrong.value) && <Notice>{sentence(wrong.value)}</Notice>}
          {isNew.value && <Field label={t.value.name} name="name" autoComplete="name" wrong={fields.value.name} required />}
          <Field
            label={t.value.email}
            name="email"
            type="email"
            autoComplete="email"
            inputMode="email"
            wrong={fields.value.email}
            required
          />
          <Field
            label={t.value.password}
            name="password"
            type="password"
            autoComplete={isNew.value ? "new-password" : "current-password"}
            {...(isNew.value ? { hint: t.value.passwordHint } : {})}
            wrong={fields.value.password}
            required
          />
          <Button type="submit" look={told.demoFans ? "plain" : "main"} busy={busy.value === "form"}>
            {isNew.value ? t.value.signUp : t.value.signIn}
          </Button>
          <Button
            look="quiet"
            onClick={() => {
              isNew.value = !isNew.value;
              wrong.value = null;
              fields.value = {};
            }}
          >
            {isNew.value ? t.value.haveAccount : t.value.noAccount}
          </Button>
        </form>
      )}
    </div>
  );
}

async function enter(email: string, password: string): Promise<Refusal | null> {
  const answer = await ask(api.POST("/api/v1/sessions", { body: { email, password } }));
  if (isRefusal(answer)) return answer.code === "unauthenticated" ? { ...answer, code: "wrong_password" } : answer;
  become({ ...answer, name: email });
  const user = await ask(api.GET("/api/v1/users/{userId}", { params: { path: { userId: answer.userId } } }));
  welcome(answer, (isRefusal(user) ? null : user.name) ?? email);
  return null;
}

async function signUp(email: string, name: string, password: string): Promise<Refusal | "mail" | null> {
  const answer = await ask(api.POST("/api/v1/users", { body: { email, name, password } }));
  if (isRefusal(answer)) return answer;
  return "userId" in answer ? enter(email, password) : "mail";
}
