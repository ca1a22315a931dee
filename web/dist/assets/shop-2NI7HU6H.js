import"./shop.chunk-P57LR6AT.js";import"./shop.chunk-NOV75CWV.js";
