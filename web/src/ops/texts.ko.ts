import { common, ops } from "../texts/ko";

export default { ...common, ...ops };
