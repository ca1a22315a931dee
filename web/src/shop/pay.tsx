// Paying for a hold: from the balance, or at the gateway's page and back.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ask, change, isRefusal, type Payment, type Refusal, refusalFor, type Reservation, type Schemas } from "../base/api";
import { money } from "../base/language";
import { announce } from "../base/live";
import { useLoaded } from "../base/load";
import { session } from "../base/session";
import { keep, kept } from "../base/store";
import { Button, Notice } from "../base/ui";
import { settings } from "./data";
import { reservationPath } from "./names";
import { Refused, sentence } from "./refusal";
import { onNews, tellTabs } from "./tabs";
import { t } from "./texts";

type Method = Schemas["PaymentMethod"];

/** What a gateway's order says at most of what it is for, in characters. */
const ORDER_NAME_LEN_MAX = 100;
/** How often a payment that isn't known yet is looked at, and how many times while the page waits. */
const LOOK_MS = 1_500;
const LOOKS_MAX = 20;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Takes the key that the gateway's page gave to the engine, which captures the payment. */
export async function confirmReturned(paymentId: string, paymentKey: string): Promise<Payment | Refusal> {
  const path = { paymentId };
  const body = { paymentKey };
  let payment = await change(`confirm.${paymentId}`, body, (header) =>
    api.POST("/api/v1/payments/{paymentId}/confirm", { params: { path, header }, body }),
  );
  for (let look = 0; look < LOOKS_MAX && !isRefusal(payment) && payment.status === "pending"; look++) {
    await sleep(LOOK_MS);
    payment = await ask(api.GET("/api/v1/payments/{paymentId}", { params: { path } }));
  }
  if (!isRefusal(payment) && payment.status === "failed")
    return refusalFor("payment_declined");
  return payment;
}

export function Pay(props: {
  reservation: Reservation;
  again: () => Promise<void>;
  refusal: Refusal | null;
  onRefusal: (refusal: Refusal | null) => void;
}) {
  const { reservation, again, refusal, onRefusal } = props;
  const userId = session.value?.userId ?? "";
  // Who comes back from a gateway, or buys again, pays the same way.
  const wished = useSignal<Method>(kept<Method>("method") ?? "balance");
  const busy = useSignal<"" | "pay" | "charge">("");
  const told = useLoaded(settings, []).value.value;
  const balance = useLoaded(() => ask(api.GET("/api/v1/users/{userId}/balance", { params: { path: { userId } } })), [userId]);
  useEffect(() => onNews(() => void balance.again()), [userId]);
  // Whoever comes back from the gateway's page by the browser's button finds this page as it was left: about to leave.
  useEffect(() => {
    const back = (event: PageTransitionEvent) => {
      if (event.persisted) busy.value = "";
    };
    addEventListener("pageshow", back);
    return () => removeEventListener("pageshow", back);
  }, []);
  if (told === null || balance.value.value === null) return null;

  const amount = money(reservation.amount, reservation.currency);
  const own = isRefusal(balance.value.value) ? null : balance.value.value.balance;
  const short = own === null ? 0 : Math.max(0, reservation.amount - own);
  const checkout = isRefusal(told) ? null : told.checkoutUrl;
  const methods: Method[] = ["balance", ...(checkout ? (["card", "kakao_pay", "naver_pay", "toss"] as const) : [])];

  const method = methods.includes(wished.value) ? wished.value : "balance";

  const fail = (refused: Refusal) => {
    onRefusal(refused);
    announce(sentence(refused));
    void balance.again();
    void again();
  };

  const pay = async () => {
    if (busy.value) return;
    busy.value = "pay";
    onRefusal(null);
    const body = { reservationId: reservation.reservationId, method };
    const payment = await change(`pay.${reservation.reservationId}`, body, (header) =>
      api.POST("/api/v1/payments", { params: { header }, body }),
    );
    if (isRefusal(payment)) {
      busy.value = "";
      return fail(payment);
    }
    tellTabs();
    if (payment.status === "ready" && payment.orderId && checkout) {
      const back = new URL(reservationPath(reservation.reservationId), location.href).href;
      const order = {
        orderId: payment.orderId,
        amount: String(payment.amount),
        orderName: reservation.concertTitle.slice(0, ORDER_NAME_LEN_MAX),
        successUrl: back,
        failUrl: back,
      };
      location.assign(`${checkout}?${new URLSearchParams(order)}`);
      return;
    }
    busy.value = "";
    await again();
  };

  const charge = async () => {
    if (busy.value || isRefusal(told)) return;
    busy.value = "charge";
    const wanted = Math.min(told.chargeMax, Math.max(told.chargeMin, short));
    const body = { amount: wanted };
    const path = { userId };
    const answer = await change(`charge.${userId}`, body, (header) =>
      api.POST("/api/v1/users/{userId}/balance", { params: { path, header }, body }),
    );
    busy.value = "";
    if (isRefusal(answer)) return fail(answer);
    onRefusal(null);
    announce(t.value.charged(money(answer.currentBalance, reservation.currency)));
    await balance.again();
  };

  return (
    <section class="pay" aria-labelledby="pay">
      <h2 id="pay">{t.value.payTitle}</h2>
      <div class="methods" role="radiogroup" aria-labelledby="pay">
        {methods.map((name) => (
          <label key={name} class="method">
            <input
              type="radio"
              name="method"
              value={name}
              checked={method === name}
              onChange={() => {
                wished.value = name;
                keep("method", name);
              }}
            />
            <span>
              {t.value.methods[name]}
              {name === "balance" && own !== null && <span class="soft"> {money(own, reservation.currency)}</span>}
            </span>
          </label>
        ))}
      </div>
      {method === "balance" && short > 0 && !isRefusal(told) && (
        <Notice
          kind="note"
          actions={
            told.selfCharge && (
              <Button onClick={charge} busy={busy.value === "charge"} id="charge">
                {t.value.chargeBy(money(Math.min(told.chargeMax, Math.max(told.chargeMin, short)), reservation.currency))}
              </Button>
            )
          }
        >
          {t.value.balanceShort(money(short, reservation.currency))}
        </Notice>
      )}
      {method !== "balance" && <p class="soft small">{t.value.gatewayHint}</p>}
      {refusal && <Refused refusal={refusal} />}
      <Button look="main" onClick={pay} busy={busy.value === "pay"} disabled={method === "balance" && short > 0} id="pay-now">
        {t.value.pay(amount)}
      </Button>
    </section>
  );
}
