// The reader's account: who they are, their balance and its movements.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ask, change, isRefusal, type Refusal } from "../base/api";
import { fullDay, money, time } from "../base/language";
import { announce } from "../base/live";
import { useLoaded } from "../base/load";
import { go } from "../base/router";
import { become, session } from "../base/session";
import { Button, Field, Heading, Loading } from "../base/ui";
import { settings } from "./data";
import { Refused } from "./refusal";
import { SignInFirst } from "./reservation";
import { onNews, tellTabs } from "./tabs";
import { t } from "./texts";

export function AccountPage() {
  const userId = session.value?.userId ?? "";
  const path = { userId };
  const balance = useLoaded(() => ask(api.GET("/api/v1/users/{userId}/balance", { params: { path } })), [userId]);
  const moves = useLoaded(
    () => ask(api.GET("/api/v1/users/{userId}/balance/transactions", { params: { path, query: { limit: 50 } } })),
    [userId],
  );
  const told = useLoaded(settings, []).value.value;
  const amount = useSignal("100,000");
  const wrong = useSignal<string | undefined>(undefined);
  const refusal = useSignal<Refusal | null>(null);
  const busy = useSignal(false);
  const again = async () => void (await Promise.all([balance.again(), moves.again()]));
  useEffect(() => onNews(() => void again()), [userId]);
  if (!session.value) return <SignInFirst title={t.value.account} />;
  const own = balance.value.value;
  const list = moves.value.value;
  if (own === null) return <Loading label={t.value.loading} />;
  const currency = isRefusal(own) ? "KRW" : own.currency;

  const charge = async (event: Event) => {
    event.preventDefault();
    if (busy.value || told === null || isRefusal(told)) return;
    const wanted = Number(amount.value.replace(/[,\s]/g, ""));
    const isGood = Number.isInteger(wanted) && wanted >= told.chargeMin && wanted <= told.chargeMax;
    wrong.value = isGood ? undefined : t.value.chargeBounds(money(told.chargeMin, currency), money(told.chargeMax, currency));
    if (!isGood) return;
    busy.value = true;
    const body = { amount: wanted };
    const answer = await change(`charge.${userId}`, body, (header) =>
      api.POST("/api/v1/users/{userId}/balance", { params: { path, header }, body }),
    );
    busy.value = false;
    refusal.value = isRefusal(answer) ? answer : null;
    if (!isRefusal(answer)) {
      announce(t.value.charged(money(answer.currentBalance, currency)));
      tellTabs();
    }
    await again();
  };

  return (
    <div class="narrow account">
      <Heading title={t.value.account}>{session.value.name || session.value.userId}</Heading>
      {isRefusal(own) ? (
        <Refused refusal={own} again={balance.again} />
      ) : (
        <section aria-labelledby="balance">
          <h2 id="balance">{t.value.balance}</h2>
          <p class="big">{money(own.balance, own.currency)}</p>
        </section>
      )}
      {told !== null && !isRefusal(told) && told.selfCharge && (
        <form onSubmit={charge} noValidate class="charge">
          <Field
            label={t.value.chargeAmount}
            inputMode="numeric"
            value={amount.value}
            onInput={(event) => (amount.value = event.currentTarget.value)}
            wrong={wrong.value}
          />
          <Button type="submit" busy={busy.value}>
            {t.value.charge}
          </Button>
          {refusal.value && <Refused refusal={refusal.value} />}
        </form>
      )}
      {list !== null && !isRefusal(list) && list.items.length > 0 && (
        <section aria-labelledby="moves">
          <h2 id="moves">{t.value.movements}</h2>
          <ul class="moves">
            {list.items.map((move) => (
              <li key={move.transactionId}>
                <span>
                  {t.value.movement[move.type]}
                  <span class="soft small when">
                    {fullDay(move.createdAt, undefined)} {time(move.createdAt, undefined)}
                  </span>
                </span>
                <span class="sum">
                  {move.type === "payment" ? "−" : "+"}
                  {money(move.amount, currency)}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <Button
        look="quiet"
        onClick={() => {
          become(null);
          go("/");
        }}
      >
        {t.value.signOut}
      </Button>
    </div>
  );
}
