// The operations page.
import { render } from "preact";
import "@preact/signals";
import "../base/base.css";
import { document as documentOf, isRefusal } from "../base/api";
import { LiveRegion } from "../base/live";
import { become, openSession, session } from "../base/session";
import { Button, Heading, LanguageSwitch } from "../base/ui";
import { ready, t } from "./texts";

openSession("operator");

async function signIn() {
  const answer = await documentOf<{ accessToken: string; expiresAt: string; userId: string }>("/demo/sessions", { role: "admin" });
  if (!isRefusal(answer)) become({ ...answer, name: answer.userId });
}

function Page() {
  return (
    <main>
      <Heading title={t.value.title}>{t.value.title}</Heading>
      {session.value ? <p>{session.value.name}</p> : <Button onClick={signIn}>{t.value.signIn}</Button>}
      <LanguageSwitch />
      <LiveRegion />
    </main>
  );
}

void ready.then(() => render(<Page />, document.getElementById("page") as HTMLElement));
